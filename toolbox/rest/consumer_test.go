package rest_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/rest"
)

func TestAnIdleInstanceIsClosedAndLeavesItsGroup(t *testing.T) {
	t.Parallel()
	var log lines
	const idle = 2 * time.Second
	w := setup(t, func(c *rest.Config) { c.Idle, c.Log = idle, log.logger() })
	topic := w.topic("test", 1)
	w.fill(topic, 1, 2)
	c := w.consumer("g", "c", earliest, topic)
	c.read(2)
	// One call that takes longer than the idle time is not idleness.
	busy := w.consumer("busy", "c", earliest, w.topic("other", 1))
	require.Empty(t, busy.get("?timeout=5000"))
	busy.must("GET", busy.path+"/subscription", "")

	testkit.Eventually(t, func() error {
		if stats := w.server.Stats(); stats.Expired == 0 {
			return errors.New("nothing expired yet")
		}
		return nil
	})
	require.Equal(t, 40403, c.call("GET", c.path+"/subscription", "").code(t))
	testkit.Eventually(t, func() error { return w.isEmpty("g") })
	require.EqualValues(t, 2, w.committed("g", topic), "what was read is committed on the way out")
	require.Contains(t, log.String(), "consumer instance was idle and is closed")
	w.must("POST", "/consumers/"+c.group, `{"name": "c"}`)
}

// isEmpty tells whether the group has no members left.
func (w *world) isEmpty(group string) error {
	found, err := w.admin.DescribeGroups(w.t.Context(), w.prefix+group)
	if err != nil {
		return err
	}
	if members := found[w.prefix+group].Members; len(members) > 0 {
		return errors.New("the group still has members")
	}
	return nil
}

func TestStoppingTheServerEndsReadsAndLeavesEveryGroup(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	w.fill(topic, 1, 1)
	c := w.consumer("g", "c", earliest, topic)
	c.read(1)
	ended := make(chan int, 1)
	go func() {
		request, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, w.url+c.path+"/records?timeout=30000", nil)
		response, err := w.http.Do(request)
		if err != nil {
			ended <- 0
			return
		}
		_ = response.Body.Close()
		ended <- response.StatusCode
	}()
	testkit.Eventually(t, func() error { // the read has begun: it committed what the one before it had
		if w.committed("g", topic) != 1 {
			return errors.New("not committed yet")
		}
		return nil
	})
	began := time.Now()
	w.stop()
	require.Less(t, time.Since(began), 20*time.Second, "not the read's 30 seconds")
	require.Equal(t, http.StatusServiceUnavailable, <-ended)
	require.NoError(t, w.isEmpty("g"))
	require.Equal(t, rest.Stats{Consumed: 1, Consumers: 1}, w.server.Stats())
}

func TestDeletingAnInstanceEndsItsRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.consumer("g", "c", earliest, w.topic("test", 1))
	testkit.Eventually(t, c.has(1))
	codes := make(chan int, 3)
	var wg sync.WaitGroup
	for range 3 { // one reads, two wait for their turn
		wg.Go(func() { codes <- c.call("GET", c.path+"/records?timeout=30000", "").status })
	}
	began := time.Now()
	testkit.Eventually(t, func() error {
		if w.server.InUse() < 3 {
			return errors.New("the reads have not begun")
		}
		return nil
	})
	c.must("DELETE", c.path, "")
	wg.Wait()
	require.Less(t, time.Since(began), 20*time.Second, "not the reads' 30 seconds")
	for range 3 {
		require.Equal(t, 404, <-codes)
	}
}

func TestThereAreOnlySoManyInstancesAndEachNameIsTakenOnce(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *rest.Config) { c.MaxConsumers = 3 })
	create := func(body string) answer {
		return w.call("POST", "/consumers/"+w.prefix+"g", body, "Content-Type: "+plain)
	}
	var wg sync.WaitGroup
	statuses := make(chan int, 20)
	for range cap(statuses) {
		wg.Go(func() { statuses <- create(`{"name": "same"}`).status })
	}
	wg.Wait()
	close(statuses)
	count := map[int]int{}
	for s := range statuses {
		count[s]++
	}
	require.Equal(t, map[int]int{200: 1, 409: 19}, count)
	require.Equal(t, 40902, create(`{"id": "same"}`).code(t))
	require.Contains(t, create(``).body, `{"instance_id":"rest-consumer-`, "a name is made up")
	require.Equal(t, 200, create(`{"name": "third"}`).status)
	refused := create(`{"name": "fourth"}`)
	require.Equal(t, 50301, refused.code(t))
	require.Contains(t, refused.body, "--max-consumers")
	w.must("DELETE", "/consumers/"+w.prefix+"g/instances/third", "")
	require.Equal(t, 200, create(`{"name": "fourth"}`).status)
}

func TestWhatIsWrongWithAConsumerIsSaid(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *rest.Config) { c.Reserved = []string{"orders.payments"} })
	topic := w.topic("test", 2)
	for body, code := range map[string]int{
		`{"format": "avro"}`:                              422,
		`{"format": "xml"}`:                               422,
		`{"maxWindowSize": "100000"}`:                     422,
		`{"auto.offset.reset": "smallest"}`:               42204,
		`{"auto.commit.enable": "perhaps"}`:               42204,
		`{"fetch.min.bytes": -2}`:                         42204,
		`{"fetch.min.bytes": "x"}`:                        42204,
		`{"consumer.request.timeout.ms": -1}`:             42204,
		`{"name": ""}`:                                    42204,
		`{"name": "` + strings.Repeat("x", 250) + `"}`:    42204,
		`{"name": 7}`:                                     42203,
		`{`:                                               42203,
		`{"name": "` + strings.Repeat("x", 70_000) + `"}`: 413,
	} {
		require.Equal(t, code, w.call("POST", "/consumers/g", body, "Content-Type: "+plain).code(t), body[:min(len(body), 60)])
	}
	require.Equal(t, 415, w.call("POST", "/consumers/g", `{}`, "Content-Type: application/json").code(t))
	require.Equal(t, 40301, w.call("POST", "/consumers/orders.payments", `{}`, "Content-Type: "+plain).code(t))
	require.Zero(t, w.server.Stats().Consumers)

	c := w.consumer("g", "c", `"format": "json"`)
	post := func(what, body string) answer { return c.call("POST", c.path+what, body, "Content-Type: "+plain) }
	require.Equal(t, 40903, c.call("GET", c.path+"/records", "").code(t), "no subscription yet")
	require.Equal(t, `{"topics":[]}`+"\n", c.must("GET", c.path+"/subscription", "").body)
	require.Equal(t, `{"partitions":[]}`+"\n", c.must("GET", c.path+"/assignments", "").body)
	here := `{"partitions": [{"topic": "` + topic + `", "partition": 0}]}`
	there := `{"partitions": [{"topic": "` + topic + `", "partition": 2}]}`
	nowhere := `{"partitions": [{"topic": "` + w.prefix + `nothing", "partition": 0}]}`
	require.Equal(t, 40903, post("/positions/beginning", here).code(t), "no partition yet")
	require.Equal(t, 40402, post("/positions/end", there).code(t))
	require.Equal(t, 40402, post("/assignments", there).code(t))
	require.Equal(t, 40401, post("/assignments", nowhere).code(t))
	require.Equal(t, 422, post("/subscription", `{}`).code(t))
	require.Equal(t, 422, post("/subscription", `{"topic_pattern": "("}`).code(t))
	require.Equal(t, 40903, post("/subscription", `{"topics": ["a"], "topic_pattern": "b"}`).code(t))
	require.Equal(t, 40401, post("/subscription", `{"topics": ["`+w.prefix+`nothing"]}`).code(t))
	require.Equal(t, 422, post("/offsets", `{"offsets": [{"topic": "`+topic+`", "partition": 0, "offset": -1}]}`).code(t))
	require.Equal(t, 422, post("/positions", `{"offsets": [{"topic": "`+topic+`", "partition": 0, "offset": -1}]}`).code(t))
	require.Equal(t, 40402, post("/offsets", `{"offsets": [{"topic": "`+topic+`", "partition": 2, "offset": 1}]}`).code(t))
	require.Equal(t, 40402, c.call("GET", c.path+"/offsets", "").code(t), "no partitions named")
	require.Equal(t, 40402, c.call("GET", c.path+"/offsets", there, "Content-Type: "+plain).code(t))
	require.Equal(t, 415, c.call("POST", c.path+"/subscription", `{"topics": ["`+topic+`"]}`).code(t))

	require.Equal(t, 204, post("/subscription", `{"topics": ["`+topic+`"]}`).status)
	require.Equal(t, 40903, post("/assignments", here).code(t), "it has a subscription")
	c.must("DELETE", c.path+"/subscription", "")
	require.Equal(t, 204, post("/assignments", here).status)
	require.Equal(t, 40903, post("/subscription", `{"topics": ["`+topic+`"]}`).code(t), "it has partitions")
	for accept, code := range map[string]int{binary: 40601, "application/vnd.kafka.avro.v2+json": 40601, "text/html": 406} {
		require.Equal(t, code, c.call("GET", c.path+"/records", "", "Accept: "+accept).code(t), accept)
	}
	for _, accept := range []string{"", "*/*", plain, asJSON, "application/json", binary + ", " + asJSON + ";q=0.1"} {
		require.Equal(t, 200, c.call("GET", c.path+"/records?timeout=1", "", "Accept: "+accept).status, accept)
	}

	gone := c.path[:len(c.path)-1] + "x"
	for _, call := range []string{"DELETE ", "POST /subscription", "GET /subscription", "DELETE /subscription", "POST /assignments", "GET /assignments",
		"POST /positions", "POST /positions/beginning", "POST /positions/end", "POST /offsets", "GET /offsets", "GET /records"} {
		method, what, _ := strings.Cut(call, " ")
		require.Equal(t, 40403, c.call(method, gone+what, "{}", "Content-Type: "+plain).code(t), call)
	}
}

func TestASubscriptionCanBeReplacedAndBeAPattern(t *testing.T) {
	t.Parallel()
	w := setup(t)
	one, two := w.topic("test", 1), w.topic("other", 1)
	w.write(one, 0, nil, []byte(`1`))
	w.write(two, 0, nil, []byte(`2`))
	c := w.consumer("g", "c", earliest, one)
	require.Equal(t, []string{"1"}, values(c.read(1)))
	c.must("POST", c.path+"/subscription", `{"topics": ["`+two+`"]}`)
	require.Equal(t, []string{"2"}, values(c.read(1)))
	c.must("POST", c.path+"/subscription", `{"topic_pattern": "`+w.prefix+`.*st"}`)
	testkit.Eventually(t, c.has(1))
	require.Equal(t, `{"topics":["`+one+`"]}`+"\n", c.must("GET", c.path+"/subscription", "").body)
	w.write(one, 0, nil, []byte(`3`))
	require.Equal(t, []string{"3"}, values(c.read(1)), "1 is committed")
}

func TestPositionsMoveByTimeAndInAGroupThatReadNothingYet(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	w.fill(topic, 1, 3)
	c := w.consumer("g", "c", `"format": "json"`, topic) // begins at the end
	testkit.Eventually(t, c.has(1))
	require.Empty(t, c.get(""))
	c.must("POST", c.path+"/positions/beginning", `{"partitions": [{"topic": "`+topic+`", "partition": 0}]}`)
	require.Equal(t, []string{"0", "1", "2"}, values(c.read(3)))
	c.must("POST", c.path+"/positions", `{"offsets": [{"topic": "`+topic+`", "partition": 0, "offset": 2}]}`)
	require.Equal(t, []string{"2"}, values(c.read(1)))
	c.must("POST", c.path+"/positions", `{"timestamps": [{"topic": "`+topic+`", "partition": 0, "timestamp": "2020-01-02T03:04:05Z"}]}`)
	require.Len(t, c.read(3), 3)
	c.must("POST", c.path+"/positions", `{"timestamps": [{"topic": "`+topic+`", "partition": 0, "timestamp": "`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}]}`)
	require.Empty(t, c.get("?timeout=300"))

	// A position without a committed offset, and no way to choose one, is an error rather than a guess.
	n := w.consumer("none", "c", `"auto.offset.reset": "none"`, topic)
	require.Equal(t, 50002, n.call("GET", n.path+"/records", "").code(t))
}

// A Kafka that takes connections and never answers.
func TestAKafkaThatDoesNotAnswerIsSaidToAndHoldsNothingUp(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	w := setup(t, func(c *rest.Config) { c.Brokers, c.Allow = []string{l.Addr().String()}, []string{"test"} })
	c, d := w.consumer("g", "c", ""), w.consumer("g", "d", "")
	var wg sync.WaitGroup
	began := time.Now()
	for _, call := range []string{"GET /topics", "GET /topics/test", "GET /brokers", "POST /topics/test", "POST " + c.path + "/subscription", "GET " + d.path + "/offsets"} {
		wg.Go(func() {
			method, path, _ := strings.Cut(call, " ")
			body := map[string]string{"POST /topics/test": `{"records": [{"value": 1}]}`, "POST " + c.path + "/subscription": `{"topics": ["test"]}`,
				"GET " + d.path + "/offsets": `{"partitions": [{"topic": "test", "partition": 0}]}`}[call]
			contentType := plain
			if call == "POST /topics/test" {
				contentType = asJSON
			}
			got := w.call(method, path, body, "Content-Type: "+contentType)
			if got.status != 500 || !strings.Contains(got.body, "50003") {
				t.Errorf("%s: %d %s", call, got.status, got.body)
			}
		})
	}
	wg.Wait()
	require.Less(t, time.Since(began), 40*time.Second)
	w.stop()
	require.Less(t, time.Since(began), 60*time.Second)
}
