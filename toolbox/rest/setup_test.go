package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/rest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// The content types of the API.
const (
	plain  = "application/vnd.kafka.v2+json"
	asJSON = "application/vnd.kafka.json.v2+json"
	binary = "application/vnd.kafka.binary.v2+json"
)

// world is a server on real HTTP, a prefix for the topics and groups of one test, and a Kafka client to look behind it.
type world struct {
	t      *testing.T
	url    string
	prefix string
	server *rest.Server
	kafka  *kgo.Client
	admin  *kadm.Client
	http   *http.Client
	stop   func() // ends the server and waits for it
}

// setup serves the tests' broker, all of the test's own topics writable, with other settings where a test asks for them.
func setup(t *testing.T, change ...func(*rest.Config)) *world {
	t.Helper()
	w := &world{t: t, prefix: testkit.Prefix(t), http: &http.Client{Transport: &http.Transport{}}}
	cfg := rest.Config{Brokers: testkit.Brokers(t)}
	for _, name := range []string{"jsontest", "binarytest", "test", "other"} {
		cfg.Allow = append(cfg.Allow, w.prefix+name)
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	w.server, err = rest.New(cfg)
	require.NoError(t, err)
	w.kafka, err = kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(t)...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	w.admin = kadm.NewClient(w.kafka)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Serve(ctx, l) }()
	stopped := false
	w.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		w.stop()
		w.deleteTopics()
		w.kafka.Close()
	})
	return w
}

func (w *world) deleteTopics() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	details, err := w.admin.ListTopics(ctx)
	require.NoError(w.t, err)
	for _, name := range details.Names() {
		if strings.HasPrefix(name, w.prefix) {
			_, err := w.admin.DeleteTopics(ctx, name)
			require.NoError(w.t, err)
		}
	}
}

// topic makes a topic and returns its full name.
func (w *world) topic(name string, partitions int32) string {
	w.t.Helper()
	answer, err := w.admin.CreateTopic(w.t.Context(), partitions, 1, nil, w.prefix+name)
	require.NoError(w.t, err)
	require.NoError(w.t, answer.Err)
	testkit.Eventually(w.t, func() error { // a broker answers that it is made before it knows it
		details, err := w.admin.ListTopics(w.t.Context(), w.prefix+name)
		if err == nil && len(details[w.prefix+name].Partitions) != int(partitions) {
			err = errors.New("the topic is not there yet")
		}
		return err
	})
	return w.prefix + name
}

// write puts a record into Kafka past the server.
func (w *world) write(topic string, partition int32, key, value []byte) {
	w.t.Helper()
	r := &kgo.Record{Topic: topic, Partition: partition, Key: key, Value: value}
	require.NoError(w.t, w.kafka.ProduceSync(w.t.Context(), r).FirstErr())
}

// stored reads everything that is in a topic, past the server, until there are count records.
func (w *world) stored(topic string, count int) []*kgo.Record {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(w.t)...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	require.NoError(w.t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	var found []*kgo.Record
	for len(found) < count {
		fetches := client.PollFetches(ctx)
		require.NoError(w.t, ctx.Err())
		found = append(found, fetches.Records()...)
	}
	return found
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// call makes a request; headers are given as "Name: value".
func (w *world) call(method, path, body string, headers ...string) answer {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	require.NoError(w.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	return w.send(request)
}

func (w *world) send(request *http.Request) answer {
	w.t.Helper()
	response, err := w.http.Do(request)
	require.NoError(w.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	return answer{response.StatusCode, response.Header, string(body)}
}

// must is call with the API's own content type, and expects success.
func (w *world) must(method, path, body string) answer {
	w.t.Helper()
	a := w.call(method, path, body, "Content-Type: "+plain)
	require.Less(w.t, a.status, 300, a.body)
	return a
}

// code returns the error code of an answer.
func (a answer) code(t *testing.T) int {
	t.Helper()
	var e struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &e), a.body)
	require.NotEmpty(t, e.Message)
	require.Equal(t, plain, a.header.Get("Content-Type"))
	if e.Code > 999 {
		require.Equal(t, a.status, e.Code/100, a.body)
	} else {
		require.Equal(t, a.status, e.Code, a.body)
	}
	return e.Code
}

// record is a record as an answer shows it.
type record struct {
	Topic     string
	Key       any
	Value     any
	Partition int32
	Offset    int64
}

// consumer is an instance of one test.
type consumer struct {
	*world
	group, path string
}

// consumer makes an instance with these settings in JSON, subscribed to the topics unless there are none.
func (w *world) consumer(group, name, settings string, topics ...string) *consumer {
	w.t.Helper()
	if settings != "" {
		settings = ", " + settings
	}
	c := &consumer{world: w, group: w.prefix + group}
	c.path = "/consumers/" + c.group + "/instances/" + name
	w.must("POST", "/consumers/"+c.group, `{"name": "`+name+`"`+settings+`}`)
	if len(topics) > 0 {
		list, err := json.Marshal(topics)
		require.NoError(w.t, err)
		w.must("POST", c.path+"/subscription", `{"topics": `+string(list)+`}`)
	}
	return c
}

// get reads once.
func (c *consumer) get(query string) []record {
	c.t.Helper()
	return c.must("GET", c.path+"/records"+query, "").records(c.t)
}

// object returns the answer's fields.
func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	fields := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(a.body), &fields), a.body)
	return fields
}

// list returns a field that is a list.
func (a answer) list(t *testing.T, field string) []any {
	t.Helper()
	list, _ := a.object(t)[field].([]any)
	return list
}

func (a answer) records(t *testing.T) []record {
	t.Helper()
	list := []record{}
	require.NoError(t, json.Unmarshal([]byte(a.body), &list), a.body)
	return list
}

// read reads until it has at least count records.
func (c *consumer) read(count int) []record {
	c.t.Helper()
	list := []record{}
	deadline := time.Now().Add(30 * time.Second)
	for len(list) < count {
		require.True(c.t, time.Now().Before(deadline), "only %d of %d records came", len(list), count)
		list = append(list, c.get("")...)
	}
	return list
}

// earliest are the settings of most tests' consumers.
const earliest = `"format": "json", "auto.offset.reset": "earliest"`
