//go:build clients

package strangers

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/rest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// The members, each with its library's own rule of sharing partitions. Both print a line for each record.
const (
	kafkaJS = `
const { Kafka, logLevel } = require('kafkajs')
const [broker, topic, groupId] = process.argv.slice(1)
const consumer = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING }).consumer({ groupId })
consumer.connect().then(() => consumer.subscribe({ topics: [topic], fromBeginning: true }))
  .then(() => consumer.run({ eachMessage: async ({ message }) => console.log(message.value.toString()) }))
`
	librdkafka = `
import sys
from confluent_kafka import Consumer
broker, topic, group = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest"})
consumer.subscribe([topic])
while True:
    record = consumer.poll(1)
    if record is not None and record.error() is None:
        print(record.value().decode(), flush=True)
`
)

// member starts a program that joins the group, and counts the lines that it prints until the test ends.
func member(t *testing.T, name string, env []string, args ...string) *atomic.Int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var lines atomic.Int64
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines.Add(1)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait() // it was killed
	})
	return &lines
}

// installed is the folder that e2e/clients/install has filled.
func installed(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("CLIENTS_INSTALLED")
	require.NotEmpty(t, folder, "needs the clients of other languages: run `make test SUITE=strangers`")
	return folder
}

// node returns the environment of a program that uses the installed modules.
func node(t *testing.T) []string {
	t.Helper()
	return []string{"NODE_PATH=" + filepath.Join(installed(t), "node_modules")}
}

// setup makes a topic of 8 partitions with a writer that goes on until the test ends.
func setup(t *testing.T) (cfg kafka.Config, topic string) {
	t.Helper()
	cfg = kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: testkit.Prefix(t)}
	topic = cfg.TopicPrefix + "shared"
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	_, err = kadm.NewClient(client).CreateTopic(t.Context(), 8, 1, nil, topic)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(`{"n":1}`)}).FirstErr() // the next one tells
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return cfg, topic
}

// shares waits until the group has two members that both have partitions, and returns the protocol that they use.
func shares(t *testing.T, cfg kafka.Config, group string) string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	require.NoError(t, err)
	defer client.Close()
	protocol := ""
	testkit.Eventually(t, func() error {
		described, err := kadm.NewClient(client).DescribeGroups(t.Context(), group)
		if err != nil {
			return err
		}
		holding := 0
		for _, m := range described[group].Members {
			if assigned, ok := m.Assigned.AsConsumer(); ok && len(assigned.Topics) > 0 {
				holding++
			}
		}
		protocol = described[group].Protocol
		if described[group].State != "Stable" || holding != 2 {
			return fmt.Errorf("the group is %s and %d members have partitions", described[group].State, holding)
		}
		return nil
	})
	return protocol
}

// `pas tail --group` and the REST proxy share a group with KafkaJS 2.2.4 and with librdkafka (confluent-kafka 2.16.1): each
// member gets partitions and reads.
func TestOtherClientsShareTheirGroups(t *testing.T) {
	t.Parallel()
	modules, python := node(t), filepath.Join(installed(t), "venv", "bin", "python")
	cfg, topic := setup(t)
	for name, join := range map[string]func(group string) *atomic.Int64{
		"kafkajs": func(group string) *atomic.Int64 {
			return member(t, "node", modules, "-e", kafkaJS, cfg.Brokers[0], topic, group)
		},
		"librdkafka": func(group string) *atomic.Int64 {
			return member(t, python, nil, "-c", librdkafka, cfg.Brokers[0], topic, group)
		},
	} {
		t.Run(name+" and tail", func(t *testing.T) {
			t.Parallel()
			group := cfg.TopicPrefix + name + "-tail"
			theirs := join(group)
			testkit.Eventually(t, func() error { return some(theirs) })
			ours, err := feed.Open(t.Context(), feed.Config{Kafka: cfg, Topics: []string{"shared"}, Group: group, Follow: true, OpenTime: time.Minute})
			require.NoError(t, err)
			defer ours.Close()
			read := make(chan error, 1)
			go func() {
				_, err := ours.Poll(t.Context())
				read <- err
			}()
			t.Logf("they share by %s", shares(t, cfg, group))
			require.NoError(t, <-read)
			before := theirs.Load()
			testkit.Eventually(t, func() error { return more(theirs, before) })
		})
		t.Run(name+" and rest", func(t *testing.T) {
			t.Parallel()
			group := cfg.TopicPrefix + name + "-rest"
			theirs := join(group)
			testkit.Eventually(t, func() error { return some(theirs) })
			url := proxy(t, cfg)
			call(t, "POST", url+"/consumers/"+group, `{"name":"c","format":"json","auto.offset.reset":"earliest"}`)
			one := url + "/consumers/" + group + "/instances/c"
			call(t, "POST", one+"/subscription", `{"topics":["`+topic+`"]}`)
			testkit.Eventually(t, func() error {
				var records []any
				require.NoError(t, json.Unmarshal(call(t, "GET", one+"/records?timeout=1000", ""), &records))
				if len(records) == 0 {
					return fmt.Errorf("nothing was read")
				}
				return nil
			})
			t.Logf("they share by %s", shares(t, cfg, group))
			before := theirs.Load()
			testkit.Eventually(t, func() error { return more(theirs, before) })
		})
	}
}

func some(lines *atomic.Int64) error { return more(lines, 0) }

func more(lines *atomic.Int64, than int64) error {
	if lines.Load() <= than {
		return fmt.Errorf("the other client reads nothing")
	}
	return nil
}

// proxy serves the brokers over HTTP.
func proxy(t *testing.T, cfg kafka.Config) (url string) {
	t.Helper()
	server, err := rest.New(rest.Config{Brokers: cfg.Brokers, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		server.Close()
	})
	return "http://" + l.Addr().String()
}

func call(t *testing.T, method, url, body string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/vnd.kafka.v2+json")
	r.Header.Set("Accept", "application/vnd.kafka.json.v2+json, application/vnd.kafka.v2+json")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer json.RawMessage
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", answer)
	return answer
}
