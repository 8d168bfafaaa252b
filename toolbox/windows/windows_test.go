package windows

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/httpx"
)

// count counts values in one partition, minute by minute with ten seconds' grace, and shows all windows.
func count(values ...string) ([]Window, Counters) {
	tally, board, b := newTally(testSize, testGrace, map[partition]position{}), newBoard(testSize, testGrace), newBatch()
	for i, value := range values {
		tally.add(b, &kgo.Record{Topic: "t", Offset: int64(i), Timestamp: time.UnixMilli(1_000_000_000_000), Value: []byte(value)})
	}
	board.apply(b)
	return board.all(), b.counters
}

func one(t *testing.T, value string) (Window, Counters) {
	t.Helper()
	list, counters := count(value)
	require.Len(t, list, 1)
	require.Len(t, list[0].Events, 1)
	return list[0], counters
}

func TestTheTimeOfAnEventIsItsTimestampElseItsRecords(t *testing.T) {
	t.Parallel()
	record := time.UnixMilli(1_000_000_000_000).UTC().Truncate(testSize)
	for stamp, want := range map[string]string{
		`"2001-01-01T10:20:59.999Z"`:      "2001-01-01T10:20:00Z",
		`"2001-01-01T10:21:00Z"`:          "2001-01-01T10:21:00Z",
		`"2001-01-01 12:21:00.5+0200"`:    "2001-01-01T10:21:00Z",
		`978344459.9`:                     "2001-01-01T10:20:00Z",
		`978344459900`:                    "2001-01-01T10:20:00Z",
		`"1969-12-31T23:59:59Z"`:          "1969-12-31T23:59:00Z",
		`"1969-12-31T23:59:00Z"`:          "1969-12-31T23:59:00Z",
		`"yesterday"`:                     record.Format(time.RFC3339),
		`null`:                            record.Format(time.RFC3339),
		`true`:                            record.Format(time.RFC3339),
		`"2001-09-09T02:46:39Z"`:          "2001-09-09T02:46:00Z", // an hour ahead of its record, less a second
		`"2001-09-09T02:46:41Z"`:          record.Format(time.RFC3339),
		`"9999-01-01T00:00:00Z"`:          record.Format(time.RFC3339),
		`"2001-01-01T10:21:00Z", "a": {}`: "2001-01-01T10:21:00Z",
	} {
		w, counters := one(t, `{"event": "e", "timestamp": `+stamp+`}`)
		require.Equal(t, want, w.Start.Format(time.RFC3339), stamp)
		require.Equal(t, w.Start.Add(testSize), w.End)
		require.EqualValues(t, 1, counters.Counted)
	}
	_, counters := one(t, `{"timestamp": "9999-01-01T00:00:00Z"}`)
	require.EqualValues(t, 1, counters.Ahead)
}

func TestAmountsAreSummedExactlyAndEachCurrencyForItself(t *testing.T) {
	t.Parallel()
	list, counters := count(`{"event":"e","amount":0.1}`, `{"event":"e","total":"0.2"}`, `{"event":"e","amount":0.30000000000000004}`,
		`{"event":"e","amount":5,"currency":"JPY"}`, `{"event":"e","amount":9999999999.99}`, `{"event":"e","amount":9999999999.99}`,
		`{"event":"e"}`, `{"event":"e","amount":null}`)
	require.Len(t, list, 1)
	require.Equal(t, []Event{{Name: "e", Count: 8, Sums: []Sum{{"JPY", "5"}, {"USD", "20000000000.58"}}}}, list[0].Events)
	require.Zero(t, counters.BadAmounts)
	for _, bad := range []string{`-1`, `1.999`, `"much"`, `{}`, `true`, `99999999999`, `1, "currency": "XXX"`, `1, "currency": 5`} {
		w, counters := one(t, `{"event":"e","amount":`+bad+`}`)
		require.Equal(t, []Event{{Name: "e", Count: 1}}, w.Events, bad)
		require.EqualValues(t, 1, counters.BadAmounts, bad)
	}
}

func TestWhatIsNoJSONObjectIsSkippedAndCounted(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"oops", "[]", "5", "null", `{"a":1`, `{"a":1} {}`, "{\"a\":\"\xff\"}", `"text"`, `{"a":1,"a":2}`, `{"a":"\ud800"}`} {
		list, counters := count(value)
		require.Empty(t, list)
		require.Equal(t, Counters{Read: 1, NotJSON: 1}, counters, value)
	}
	_, counters := count("") // a tombstone
	require.Equal(t, Counters{Read: 1, Empty: 1}, counters)
}

func TestAnEventWithoutAShowableNameHasNone(t *testing.T) {
	t.Parallel()
	for _, value := range []string{`{}`, `{"event":5}`, `{"event":""}`, `{"event":" "}`, `{"event":"a\u0000b"}`, `{"event":"` + strings.Repeat("x", 129) + `"}`} {
		w, _ := one(t, value)
		require.Empty(t, w.Events[0].Name)
	}
	tally, b := newTally(testSize, 0, map[partition]position{}), newBatch()
	tally.add(b, &kgo.Record{Topic: "payments", Timestamp: time.UnixMilli(5), Value: []byte(`{"order_id":1,"amount":5,"user_id":2}`)})
	require.Contains(t, b.cells, key{0, "payment_requested", "USD"})
}

// TestLatenessIsSaidByTheOrderInThePartitionAlone: how the partitions' records are mixed changes nothing.
func TestLatenessIsSaidByTheOrderInThePartitionAlone(t *testing.T) {
	t.Parallel()
	at := func(partition int32, offset, second int) *kgo.Record {
		return &kgo.Record{Topic: "t", Partition: partition, Offset: int64(offset), Value: fmt.Appendf(nil, `{"event":"e","timestamp":%d}`, second)}
	}
	a := []*kgo.Record{at(0, 0, 10), at(0, 1, 69), at(0, 2, 59), at(0, 3, 70), at(0, 4, 59), at(0, 5, 60)}
	b := []*kgo.Record{at(1, 0, 500), at(1, 1, 400)}
	for _, mix := range [][]*kgo.Record{append(append([]*kgo.Record{}, a...), b...), append(append([]*kgo.Record{}, b...), a...)} {
		tally, batch := newTally(testSize, testGrace, map[partition]position{}), newBatch()
		for _, r := range mix {
			tally.add(batch, r)
		}
		require.Equal(t, Counters{Read: 8, Counted: 6, Late: 2}, batch.counters)
		require.Equal(t, counts{2, 1, 0}, batch.cells[key{0, "e", ""}])
		require.Equal(t, counts{0, 1, 0}, batch.cells[key{360_000, "e", ""}])
		require.Equal(t, position{6, 70_000}, tally.at[partition{"t", 0}])
	}
}

// A producer whose clock is 59 minutes ahead makes nobody late who writes while the window is open; a broker of Kafka 4.3.1
// takes up to an hour. Kafka Streams 4.3.1 would drop all of them as late.
func TestAnEventThatIsAheadMakesNoOtherLate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)
	for name, ahead := range map[string]*kgo.Record{
		"its record too":     {Timestamp: now.Add(59 * time.Minute), Value: []byte(`{"event":"e"}`)},
		"its timestamp only": {Timestamp: now, Value: []byte(`{"event":"e","timestamp":"2026-03-01T12:59:30Z"}`)},
	} {
		tally, b := newTally(testSize, testGrace, map[partition]position{}), newBatch()
		tally.add(b, ahead)
		write := func(written time.Time, value string) {
			tally.add(b, &kgo.Record{Topic: ahead.Topic, Offset: tally.at[partition{}].next, Timestamp: written, Value: []byte(value)})
		}
		window := now.Truncate(testSize)
		over := window.Add(testSize + testGrace)
		write(now, `{"event":"e"}`)
		write(over.Add(-time.Millisecond), `{"event":"e","timestamp":"2026-03-01T12:00:31Z"}`)
		require.Equal(t, counts{2, 0, 0}, b.cells[key{window.UnixMilli(), "e", ""}], name)
		write(over, `{"event":"e","timestamp":"2026-03-01T12:00:32Z"}`)
		require.Equal(t, counts{2, 1, 0}, b.cells[key{window.UnixMilli(), "e", ""}], "written after the window was over: "+name)
	}
}

func TestAWindowIsShownOnceItIsOverAndAgainWhenSomethingComes(t *testing.T) {
	t.Parallel()
	b := newBoard(testSize, testGrace)
	add := func(start, events, late int64) {
		added := newBatch()
		added.cells[key{start, "e", ""}] = counts{events, late, 0}
		b.apply(added)
	}
	add(0, 3, 0)
	add(60_000, 1, 0)
	require.Empty(t, b.close(69_999))
	shown := b.close(70_000)
	require.Len(t, shown, 1)
	require.False(t, shown[0].Open || shown[0].Corrected)
	require.Len(t, b.open(), 1)
	require.Empty(t, b.close(70_000))
	add(0, 0, 1)
	require.Empty(t, b.close(70_000), "late events are no correction")
	add(0, 2, 0)
	shown = b.close(70_000)
	require.Len(t, shown, 1)
	require.True(t, shown[0].Corrected)
	require.EqualValues(t, 5, shown[0].Count)
	require.EqualValues(t, 1, shown[0].Late)

	for i := range int64(kept + 10) {
		add(i*60_000, 1, 0)
	}
	b.close(1 << 50)
	require.Len(t, b.all(), kept)
	add(0, 0, 1)
	require.Len(t, b.all(), kept, "late events do not bring a forgotten window back")
	add(0, 1, 0)
	shown = b.close(1 << 50)
	require.Len(t, shown, 1)
	require.True(t, shown[0].Added && shown[0].Corrected)
}

func TestSumsHaveNoLimit(t *testing.T) {
	t.Parallel()
	large, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	for text, minor := range map[string]*big.Int{"1234567890123456789012345678.90": large, "0.05": big.NewInt(5), "0.00": big.NewInt(0)} {
		require.Equal(t, text, decimal(minor, "USD"))
		read, err := minorUnits(text, "USD")
		require.NoError(t, err)
		require.Equal(t, minor.String(), read.String())
	}
	require.Equal(t, "5", decimal(big.NewInt(5), "JPY"))
	read, err := minorUnits("12.5000", "USD")
	require.NoError(t, err)
	require.EqualValues(t, 1250, read.Int64())
	_, err = minorUnits("12.505", "USD")
	require.Error(t, err)
}

func TestThePageIsToldOfEachSnapshot(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	page, ended := NewPage(), make(chan error, 1)
	go func() { ended <- page.Serve(ctx, l, httpx.Edge{}, slog.New(slog.DiscardHandler)) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		require.NoError(t, err)
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	for path, want := range map[string]string{"/": "text/html; charset=utf-8", "/page.js": "text/javascript; charset=utf-8", "/windows": "application/json"} {
		response := get(path)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, want, response.Header.Get("Content-Type"))
		require.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'self'")
	}
	stream := bufio.NewScanner(get("/stream").Body)
	next := func() (s Snapshot) {
		for stream.Scan() {
			if data, ok := strings.CutPrefix(stream.Text(), "data: "); ok {
				require.NoError(t, json.Unmarshal([]byte(data), &s))
				return s
			}
		}
		require.Fail(t, "the stream ended")
		return s
	}
	require.Empty(t, next().Windows)
	page.Update(Snapshot{Windows: []Window{{Count: 3, Events: []Event{{Name: "<b>", Count: 3, Sums: []Sum{{"USD", "1.50"}}}}}}})
	got := next()
	require.Equal(t, "<b>", got.Windows[0].Events[0].Name)
	require.EqualValues(t, "1.50", got.Windows[0].Events[0].Sums[0].Amount)
	for _, path := range []string{"/", "/windows", "/stream"} { // a stranger's name that leads here
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
		require.NoError(t, err)
		request.Host = "evil.example"
		response, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusMisdirectedRequest, response.StatusCode, path)
	}
	cancel()
	require.NoError(t, <-ended)
}
