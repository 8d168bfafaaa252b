package deadletter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/pgdb"
)

func TestALetterKeepsTheRecordByteForByte(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, r := range []messages.Record{
		record(0),
		{Topic: "things", Partition: 2, Offset: 1, Time: at}, // a tombstone without a key
		{Topic: "things", Partition: 2, Offset: 2, Time: at, Key: []byte{}, Value: []byte{}},
		{Topic: "things", Partition: 2, Offset: 3, Time: at, Key: []byte{0, 0xff}, Value: []byte("\x00\xff{"),
			Headers: []messages.Header{{Key: "a\xff", Value: []byte{0, 0xfe}}, {Key: "a\xff", Value: nil}, {Key: "", Value: []byte{}}}},
	} {
		require.NoError(t, w.Park(t.Context(), r, "invalid_message", "why", "stack"))
		got := w.letter(w.newest())
		require.True(t, got.Record.Time.Equal(r.Time))
		got.Record.Time = r.Time
		require.Equal(t, r, got.Record)
		require.Equal(t, "invalid_message why stack parked", got.Reason+" "+got.Detail+" "+got.Stack+" "+got.State)
		require.WithinDuration(t, time.Now(), got.ParkedAt, time.Hour)
	}
}

func TestTextThatPostgresDoesNotTakeIsMadePrintable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.Park(t.Context(), record(0), "panic", "a\x00b\xffc", "d\x00"))
	l := w.letter(w.newest())
	require.Equal(t, "a\uFFFDb\uFFFDc", l.Detail)
	require.Equal(t, "d\uFFFD", l.Stack)
}

func TestARecordIsParkedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.park(7)
	require.NoError(t, w.Discard(t.Context(), id))
	require.NoError(t, w.Park(t.Context(), record(7), "panic", "again", "stack"))
	l := w.letter(id)
	require.Equal(t, "not_json "+deadletter.StateDiscarded, l.Reason+" "+l.State, "a redelivery changes nothing")

	later := record(7) // the topic was made anew
	later.Time = at.Add(time.Second)
	require.NoError(t, w.Park(t.Context(), later, "panic", "", ""))
	letters, err := w.List(t.Context(), deadletter.Filter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, letters, 2)
}

// A mirror writes a record with its time, key, value and headers, in any place and, killed once, more than once. MirrorMaker
// 2 of Kafka 4.3.1 made 22 letters of 11.
func TestACopyOfARecordIsParkedOnce(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *messages.Record){
		"as it is":     func(*messages.Record) {},
		"no key":       func(r *messages.Record) { r.Key = nil },
		"a tombstone":  func(r *messages.Record) { r.Value = nil },
		"no headers":   func(r *messages.Record) { r.Headers = nil },
		"a long value": func(r *messages.Record) { r.Value = bytes.Repeat([]byte("v"), 2*deadletter.MaxValue) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			r := record(7)
			change(&r)
			for place := range int64(3) {
				r.Partition, r.Offset = int32(place), 7+1000*place
				require.NoError(t, w.Park(t.Context(), r, "not_json", "", ""))
			}
			letters, err := w.List(t.Context(), deadletter.Filter{Limit: 10})
			require.NoError(t, err)
			require.Len(t, letters, 1)
			require.Equal(t, "1/7", fmt.Sprintf("%d/%d", letters[0].Record.Partition+1, letters[0].Record.Offset), "where it was read first")
		})
	}
}

func TestRecordsThatDifferAreParkedEach(t *testing.T) {
	t.Parallel()
	w := setup(t)
	long := bytes.Repeat([]byte("v"), 2*deadletter.MaxValue)
	for n, change := range []func(r *messages.Record){
		func(*messages.Record) {},
		func(r *messages.Record) { r.Topic = "others" },
		func(r *messages.Record) { r.Time = r.Time.Add(time.Millisecond) },
		func(r *messages.Record) { r.Key = nil },
		func(r *messages.Record) { r.Key = []byte{} },
		func(r *messages.Record) { r.Key = []byte("other") },
		func(r *messages.Record) { r.Value = nil },
		func(r *messages.Record) { r.Value = []byte{} },
		func(r *messages.Record) { r.Value = long },
		func(r *messages.Record) { r.Value = append(long[:len(long):len(long)], 'w') },
		func(r *messages.Record) { r.Headers = nil },
		func(r *messages.Record) { r.Headers = []messages.Header{{Key: "ce_id", Value: []byte("b")}} },
		func(r *messages.Record) { r.Time = time.Time{} },
		func(r *messages.Record) { r.Time, r.Offset = time.Time{}, 8 }, // without a time the place decides
		func(r *messages.Record) { r.Value, r.LastOffset = nil, 9 },    // a batch that could not be read
		func(r *messages.Record) { r.Value, r.LastOffset, r.Offset = nil, 19, 10 },
	} {
		r := record(7)
		change(&r)
		for range 2 {
			require.NoError(t, w.Park(t.Context(), r, "not_json", "", ""))
		}
		letters, err := w.List(t.Context(), deadletter.Filter{Limit: 100})
		require.NoError(t, err)
		require.Len(t, letters, n+1)
	}
}

func TestParkingCanBePartOfATransaction(t *testing.T) {
	t.Parallel()
	w := setup(t)
	changed := errors.New("changed my mind")
	require.ErrorIs(t, pgdb.InTx(t.Context(), w.db, func(ctx context.Context, tx *pgdb.Tx) error {
		_, err := w.ParkIn(ctx, tx, record(1), "not_json", "", "")
		require.NoError(t, err)
		return changed
	}), changed)
	letters, err := w.List(t.Context(), deadletter.Filter{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, letters)
}

func TestOnlyAParkedLetterCanBeReplayedOrDiscarded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i, state := range []string{deadletter.StateReplaying, deadletter.StateReplayed, deadletter.StateDiscarded} {
		id := w.park(int64(i))
		_, err := w.db.Exec(t.Context(), `UPDATE dead_letters SET state = $2 WHERE id = $1`, id, state)
		require.NoError(t, err)
		require.ErrorIs(t, w.Replay(t.Context(), id), deadletter.ErrNotParked, state)
		require.ErrorIs(t, w.Discard(t.Context(), id), deadletter.ErrNotParked, state)
		require.Equal(t, state, w.letter(id).State)
	}
	require.ErrorIs(t, w.Replay(t.Context(), 999), deadletter.ErrNotFound)
	require.ErrorIs(t, w.Discard(t.Context(), 999), deadletter.ErrNotFound)
	_, err := w.Get(t.Context(), 999)
	require.ErrorIs(t, err, deadletter.ErrNotFound)
}

func TestTheGaugeCountsWhatIsOpenByReason(t *testing.T) {
	t.Parallel()
	w := setup(t)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(w.Collector())
	n, err := testutil.GatherAndCount(reg, "pasdetrois_dead_letters")
	require.NoError(t, err)
	require.Zero(t, n)

	ids := []int64{w.park(1), w.park(2), w.park(3)}
	require.NoError(t, w.Park(t.Context(), record(4), "panic", "", ""))
	require.NoError(t, w.Replay(t.Context(), ids[0]))
	require.NoError(t, w.Discard(t.Context(), ids[1]))
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Equal(t, "pasdetrois_dead_letters", families[0].GetName())
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
	}
	require.Equal(t, map[string]float64{"not_json": 2, "panic": 1}, got)

	w.db.Close()
	n, err = testutil.GatherAndCount(reg, "pasdetrois_dead_letters")
	require.NoError(t, err, "a scrape gets what else there is")
	require.Zero(t, n)
}
