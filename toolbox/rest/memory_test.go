package rest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/rest"
)

// inflating writes a record whose batch is small on the wire.
func (w *world) inflating(topic string, bytes int) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(w.t)...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.BrokerMaxWriteBytes(512<<20), kgo.ProducerBatchMaxBytes(256<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	require.NoError(w.t, err)
	defer client.Close()
	value := strings.Repeat("x", bytes-2)
	require.NoError(w.t, client.ProduceSync(w.t.Context(), &kgo.Record{Topic: topic, Value: []byte(`"` + value + `"`)}).FirstErr())
}

// most watches do and returns the most that the heap grew by, and the most that the budget was used. The collector works
// against a limit, so that garbage is not counted.
func (w *world) most(do func()) (heap, budget int) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := int(m.HeapAlloc)
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(before) + 64<<20))
	ended, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				heap, budget = max(heap, int(m.HeapAlloc)-before), max(budget, w.server.Memory())
			}
		}
	}()
	do()
	close(ended)
	<-looked
	return heap, budget
}

// drain makes a request, forgets the body and returns the status and the length.
func (w *world) drain(method, path string, body io.Reader, contentType string) (answer, int64) {
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, body)
	if err != nil {
		return answer{}, 0
	}
	request.Header.Set("Content-Type", contentType)
	response, err := w.http.Do(request)
	if err != nil {
		return answer{body: err.Error()}, 0
	}
	defer func() { _ = response.Body.Close() }()
	var began bytes.Buffer
	n, _ := io.Copy(io.Discard, io.TeeReader(io.LimitReader(response.Body, 1000), &began))
	rest, _ := io.Copy(io.Discard, response.Body)
	return answer{response.StatusCode, response.Header, began.String()}, n + rest
}

func limited(c *rest.Config) { c.Memory, c.MaxConsumers = 16<<20, 30 }

// TestThirtyReadersOfLargeRecordsStayWithinTheBudget: each reads every record, all at the same time.
func TestThirtyReadersOfLargeRecordsStayWithinTheBudget(t *testing.T) {
	const readers, records, large = 30, 3, 900_000
	w := setup(t, limited)
	topic := w.topic("test", 1)
	value := []byte(`"` + strings.Repeat("x", large-2) + `"`)
	for range records {
		w.write(topic, 0, nil, value)
	}
	consumers := make([]*consumer, readers)
	for i := range consumers {
		consumers[i] = w.consumer("g"+strconv.Itoa(i), "one", earliest, topic)
	}
	var refused int
	heap, budget := w.most(func() {
		var all sync.WaitGroup
		var mu sync.Mutex
		for _, c := range consumers {
			all.Go(func() {
				deadline := time.Now().Add(2 * time.Minute)
				for read := int64(0); read < records*large; {
					if time.Now().After(deadline) {
						t.Errorf("only %d bytes came", read)
						return
					}
					a, n := w.drain("GET", c.path+"/records?timeout=2000", nil, plain)
					switch a.status {
					case http.StatusOK:
						read += n
						if n > 9<<20 {
							t.Errorf("an answer has %d bytes", n)
						}
					case http.StatusServiceUnavailable:
						mu.Lock()
						refused++
						mu.Unlock()
						if a.header.Get("Retry-After") == "" {
							t.Error("it does not say when to come again")
						}
					default:
						if strings.Contains(a.body, `"error_code":50003`) { // a busy broker
							continue
						}
						t.Errorf("answer %d %s", a.status, a.body)
						return
					}
				}
			})
		}
		all.Wait()
	})
	t.Logf("heap %d MB, budget %d MB, %d reads refused", heap>>20, budget>>20, refused)
	require.Less(t, budget, 16<<20+readers<<20, "the budget, and what every reader fetches uncompressed")
	require.Less(t, heap, 200<<20)
}

// TestARecordThatInflatesIsToldOnceAndPassedOver: what stands before it and behind it is read.
func TestARecordThatInflatesIsToldOnceAndPassedOver(t *testing.T) {
	w := setup(t)
	topic := w.topic("test", 1)
	w.write(topic, 0, nil, []byte(`"before"`))
	w.inflating(topic, 150<<20)
	w.write(topic, 0, nil, []byte(`"behind"`))
	member := w.consumer("g", "member", earliest, topic)
	alone := w.consumer("alone", "alone", earliest)
	alone.must("POST", alone.path+"/assignments", `{"partitions": [{"topic": "`+topic+`", "partition": 0}]}`)
	for _, c := range []*consumer{member, alone} {
		heap, _ := w.most(func() {
			require.Equal(t, []string{"before"}, values(c.get("?timeout=20000")))
			told := c.call("GET", c.path+"/records?timeout=20000", "")
			require.Equal(t, 50002, told.code(t), told.body)
			require.Contains(t, told.body, `partition 0 at offset 1 inflates to more than 2 MiB and is skipped: the next read continues at offset 2`)
			require.Equal(t, []string{"behind"}, values(c.read(1)))
		})
		require.Less(t, heap, 100<<20)
		c.must("DELETE", c.path, "")
		require.EqualValues(t, 3, w.committed(strings.TrimPrefix(c.group, w.prefix), topic))
	}
	require.EqualValues(t, 2, w.server.Stats().TooLarge)
}

// TestBodiesThatDoNotFitAreRefused: 24 writers of 8 MiB, of which the budget takes one at a time.
func TestBodiesThatDoNotFitAreRefused(t *testing.T) {
	w := setup(t, limited)
	topic := w.topic("binarytest", 1)
	record := `{"value": "` + strings.Repeat("QUFB", 20_000) + `"}`
	body := []byte(`{"records": [` + strings.Repeat(record+",", 90) + record + `]}`) // 7.3 MB in records that Kafka takes
	require.Less(t, len(body), 8<<20)
	var mu sync.Mutex
	statuses := map[int]int{}
	heap, budget := w.most(func() {
		var all sync.WaitGroup
		for range 24 {
			all.Go(func() {
				for range 3 {
					a, _ := w.drain("POST", "/topics/"+topic, bytes.NewReader(body), binary)
					mu.Lock()
					statuses[a.status]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
	})
	t.Logf("heap %d MB, budget %d MB, answers %v", heap>>20, budget>>20, statuses)
	require.Positive(t, statuses[http.StatusOK])
	require.Positive(t, statuses[http.StatusServiceUnavailable])
	require.LessOrEqual(t, budget, 4*len(body))
	testkit.Eventually(t, func() error { return nothing(w.server.Memory()) })
	a := w.call("POST", "/topics/"+topic, `{"records": [{"value": "QUFB"}]}`, "Content-Type: "+binary)
	require.Equal(t, http.StatusOK, a.status, a.body)
}

func nothing(bytes int) error {
	if bytes != 0 {
		return fmt.Errorf("%d bytes are still taken", bytes)
	}
	return nil
}

// TestWhatNobodyReadsIsDroppedAfterSecondsAndReadAgain: an instance that took one record of many holds the rest for a while.
func TestWhatNobodyReadsIsDroppedAfterSecondsAndReadAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 2)
	w.fill(topic, 2, 40)
	member := w.consumer("g", "member", earliest, topic)
	alone := w.consumer("alone", "alone", earliest)
	alone.must("POST", alone.path+"/assignments", `{"partitions": [{"topic": "`+topic+`", "partition": 0}, {"topic": "`+topic+`", "partition": 1}]}`)
	read := map[*consumer][]record{}
	for _, c := range []*consumer{member, alone} {
		read[c] = c.get("?timeout=20000&max_bytes=1")
		require.Len(t, read[c], 1)
	}
	require.Positive(t, w.server.Memory())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	testkit.Eventually(t, func() error { return errors.Join(nothing(w.server.Memory()), ctx.Err()) })
	for c, before := range read {
		all := append(before, c.read(39)...)
		seen := map[any]int{}
		for _, r := range all {
			seen[r.Value]++
		}
		require.Len(t, all, 40)
		require.Len(t, seen, 40, "each once")
	}
}
