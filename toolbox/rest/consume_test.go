package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/rest"
)

// values are the records' values, sorted.
func values(list []record) []string {
	texts := make([]string, len(list))
	for i, r := range list {
		texts[i] = fmt.Sprint(r.Value)
	}
	slices.Sort(texts)
	return texts
}

// fill writes the numbers from 0 up to count as JSON values, one partition after the other.
func (w *world) fill(topic string, partitions, count int) {
	w.t.Helper()
	for n := range count {
		w.write(topic, int32(n%partitions), nil, []byte(fmt.Sprint(n)))
	}
}

func TestWhatIsNoJSONIsPassedOverCountedAndStillThereInBinary(t *testing.T) {
	t.Parallel()
	var log lines
	w := setup(t, func(c *rest.Config) { c.Log = log.logger() })
	topic := w.topic("test", 1)
	for _, value := range []string{`{"n": 1}`, `not json`, "\"\xff\"", ``, `{"n": 2}`} {
		w.write(topic, 0, []byte("bare-key"), []byte(value))
	}
	w.write(topic, 0, []byte{0xff}, nil)
	c := w.consumer("json", "c", earliest, topic)
	got := w.must("GET", c.path+"/records?timeout=20000", "")
	require.Equal(t, "3", got.header.Get("Pas-Skipped-Records"))
	require.Equal(t, []record{
		{topic, "bare-key", map[string]any{"n": 1.0}, 0, 0}, {topic, "bare-key", map[string]any{"n": 2.0}, 0, 4}, {topic, "/w==", nil, 0, 5},
	}, got.records(t))
	require.Contains(t, log.String(), "skipped 3 records whose value is not JSON; the binary format shows them")
	require.Contains(t, log.String(), "partition=0 offset=1")
	require.NotContains(t, log.String(), "not json", "payloads are not logged")
	require.EqualValues(t, 3, w.server.Stats().Skipped)
	require.EqualValues(t, 3, w.server.Stats().Consumed)
	require.Empty(t, w.must("GET", c.path+"/records", "").header.Get("Pas-Skipped-Records"), "each is counted once")

	// Only such records: the answer is empty, they are read all the same.
	w.write(topic, 0, nil, []byte("nor this"))
	testkit.Eventually(t, func() error {
		if got := w.must("GET", c.path+"/records", ""); got.header.Get("Pas-Skipped-Records") != "1" || got.body != "[]\n" {
			return errors.New("not passed over yet")
		}
		return nil
	})

	b := w.consumer("binary", "c", `"auto.offset.reset": "earliest"`, topic)
	list := b.read(7)
	require.Equal(t, "bm90IGpzb24=", list[1].Value)
	require.Equal(t, "", list[3].Value)
	require.Nil(t, list[5].Value)
}

func TestAReadEndsAtItsLimits(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	for range 10 {
		w.write(topic, 0, nil, []byte(`"`+strings.Repeat("x", 998)+`"`))
	}
	c := w.consumer("g", "c", earliest, topic)
	require.Len(t, c.read(1), 10, "all that is there, by itself")
	back := func() {
		c.must("POST", c.path+"/positions/beginning", `{"partitions": [{"topic": "`+topic+`", "partition": 0}]}`)
	}
	for query, want := range map[string]int{"max_bytes=3000": 3, "max_bytes=3999": 3, "max_bytes=4000": 4, "max_bytes=1": 1, "max_bytes=-1": 10, "max_bytes=99999999999": 10} {
		back()
		require.Len(t, c.get("?timeout=20000&"+query), want, query)
	}
	back()
	total := 0
	for total < 10 {
		total += len(c.get("?timeout=20000&max_bytes=2500"))
	}
	require.Equal(t, 10, total, "what did not fit comes with the next reads")

	// fetch.min.bytes ends a read as soon as there is so much, and not before.
	m := w.consumer("min", "c", earliest+`, "fetch.min.bytes": "5000", "consumer.request.timeout.ms": 20000`, topic)
	require.GreaterOrEqual(t, len(m.get("")), 5)

	// An empty read takes its time and no longer.
	began := time.Now()
	require.Empty(t, c.get("?timeout=300"))
	require.GreaterOrEqual(t, time.Since(began), 300*time.Millisecond)
	for _, query := range []string{"timeout=x", "max_bytes=x", "timeout=99999999999"} {
		require.Equal(t, 422, c.call("GET", c.path+"/records?"+query, "").code(t))
	}
}

// A group shares the partitions, and when one instance goes the other gets what that one did not commit: nothing is lost.
func TestAGroupSharesPartitionsAndHandsThemOver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 4)
	const off = earliest + `, "auto.commit.enable": "false"`
	a := w.consumer("g", "a", off, topic)
	testkit.Eventually(t, a.has(4))
	b := w.consumer("g", "b", off, topic)
	testkit.Eventually(t, a.has(2))
	testkit.Eventually(t, b.has(2))

	w.fill(topic, 4, 40)
	fromA, fromB := a.read(20), b.read(20)
	require.Len(t, append(fromA, fromB...), 40)
	a.must("POST", a.path+"/offsets", "")
	b.must("DELETE", b.path, "")
	testkit.Eventually(t, a.has(4))
	require.Equal(t, values(fromB), values(a.read(20)), "b committed nothing: all of its records come again, and none of a's")
	require.Equal(t, 40403, b.call("GET", b.path+"/records", "").code(t))
}

// "The end" is where an instance first began: what came since is read although the partition went elsewhere and came back.
func TestAPartitionThatComesBackIsReadFromWhereItWasBegun(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 2)
	w.fill(topic, 2, 2)
	const latest = `"format": "json", "auto.offset.reset": "latest"`
	a := w.consumer("g", "a", latest, topic)
	testkit.Eventually(t, a.has(2))
	require.Empty(t, a.get(""))
	b := w.consumer("g", "b", latest, topic)
	testkit.Eventually(t, a.has(1))
	testkit.Eventually(t, b.has(1))
	w.write(topic, 0, nil, []byte(`"new"`))
	w.write(topic, 1, nil, []byte(`"new too"`))
	b.must("DELETE", b.path, "") // it read nothing
	testkit.Eventually(t, a.has(2))
	require.Equal(t, []string{"new", "new too"}, values(a.read(2)))
}

// has tells whether the instance has so many partitions.
func (c *consumer) has(count int) func() error {
	return func() error {
		var got struct{ Partitions []any }
		if err := json.Unmarshal([]byte(c.must("GET", c.path+"/assignments", "").body), &got); err != nil {
			return err
		}
		if len(got.Partitions) != count {
			return fmt.Errorf("%s has %d partitions instead of %d", c.path, len(got.Partitions), count)
		}
		return nil
	}
}

func TestAutoCommitCommitsWhatWasReadWhenTheInstanceReadsAgainOrEnds(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	w.fill(topic, 1, 3)
	c := w.consumer("g", "c", earliest, topic)
	require.Equal(t, []string{"0", "1", "2"}, values(c.read(3)))
	require.EqualValues(t, -1, w.committed("g", topic), "the answer may not have arrived")
	require.Empty(t, c.get("?timeout=1"))
	require.EqualValues(t, 3, w.committed("g", topic))
	w.fill(topic, 1, 2)
	c.read(2)
	w.must("DELETE", c.path, "")
	require.EqualValues(t, 5, w.committed("g", topic))

	d := w.consumer("g", "d", earliest, topic)
	w.write(topic, 0, nil, []byte(`"new"`))
	require.Equal(t, []string{"new"}, values(d.read(1)))

	// Without auto-commit, only what is asked for: a body's offsets, or all that was read.
	e := w.consumer("e", "e", earliest+`, "auto.commit.enable": false`, topic)
	e.read(6)
	e.get("?timeout=1")
	require.EqualValues(t, -1, w.committed("e", topic))
	e.must("POST", e.path+"/offsets", `{"offsets": [{"topic": "`+topic+`", "partition": 0, "offset": 1, "metadata": "m"}]}`)
	require.EqualValues(t, 2, w.committed("e", topic))
	require.Equal(t, `{"offsets":[{"topic":"`+topic+`","partition":0,"offset":2,"metadata":"m"}]}`+"\n",
		e.must("GET", e.path+"/offsets", `{"partitions": [{"topic": "`+topic+`", "partition": 0}]}`).body)
	e.must("POST", e.path+"/offsets", "")
	require.EqualValues(t, 6, w.committed("e", topic))
	e.must("DELETE", e.path, "")
	require.EqualValues(t, 6, w.committed("e", topic))
}

// committed is the group's offset of partition 0, -1 for none.
func (w *world) committed(group, topic string) int64 {
	w.t.Helper()
	found, err := w.admin.FetchOffsets(w.t.Context(), w.prefix+group)
	if o, ok := found.Lookup(topic, 0); err == nil && ok && o.Err == nil {
		return o.At
	}
	return -1
}

// A client that goes away before its answer is ready did not read anything.
func TestRecordsOfAnAnswerThatWasNotSentComeAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	// More is wanted than there is: the read waits with records in hand.
	c := w.consumer("g", "c", earliest+`, "fetch.min.bytes": 1000000`, topic)
	testkit.Eventually(t, c.has(1))
	w.fill(topic, 1, 5)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+c.path+"/records?timeout=30000", nil)
		require.NoError(t, err)
		_, err = w.http.Do(request)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, values(c.get("?timeout=2000")))
	require.Empty(t, c.get("?timeout=1"))
	require.EqualValues(t, 5, w.server.Stats().Consumed)
}

func TestCallsOfOneInstanceAtTheSameTimeReadEachRecordOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 3)
	w.fill(topic, 3, 60)
	c := w.consumer("g", "c", earliest, topic)
	testkit.Eventually(t, c.has(3))
	var mu sync.Mutex
	var all []record
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				mu.Lock()
				done := len(all) >= 60
				mu.Unlock()
				if done || t.Context().Err() != nil {
					return
				}
				got := c.call("GET", c.path+"/records?max_bytes=7&timeout=500", "")
				mu.Lock()
				if got.status == http.StatusOK {
					all = append(all, got.records(t)...)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Len(t, slices.Compact(values(all)), 60)
	require.Len(t, all, 60)
}

func TestAnAbortedTransactionNeverHappened(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	client, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(t)...), kgo.TransactionalID(w.prefix+"tx"), kgo.DefaultProduceTopic(topic))
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.BeginTransaction())
	require.NoError(t, client.ProduceSync(t.Context(), kgo.StringRecord(`"aborted"`)).FirstErr())
	require.NoError(t, client.EndTransaction(t.Context(), kgo.TryAbort))
	w.write(topic, 0, nil, []byte(`"after"`))
	require.Equal(t, []string{"after"}, values(w.consumer("g", "c", earliest, topic).read(1)))
}
