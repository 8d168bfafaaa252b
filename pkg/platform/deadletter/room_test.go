package deadletter_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/testkit"
)

func (w *world) offsets() (offsets []int64) {
	w.t.Helper()
	letters, err := w.List(w.t.Context(), deadletter.Filter{Limit: 1000})
	require.NoError(w.t, err)
	for _, l := range letters {
		offsets = append(offsets, l.Record.Offset)
	}
	return offsets
}

// The oldest handled letters make room. One that nobody has handled is never dropped: the next message waits instead.
func TestTheOldestHandledLettersMakeRoom(t *testing.T) {
	t.Parallel()
	for name, bounds := range map[string]deadletter.Bounds{
		"by count": {Letters: 4, Bytes: 1 << 40},
		"by bytes": {Letters: 1000, Bytes: 4*1100 + 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.Store = deadletter.NewBoundedStore(w.db, bounds)
			park := func(n int64) error {
				r := record(n)
				r.Value = bytes.Repeat([]byte("x"), 1000)
				return w.Park(t.Context(), r, "not_json", "", "")
			}
			for n := range int64(4) {
				require.NoError(t, park(n))
			}
			require.ErrorIs(t, park(4), deadletter.ErrFull, "none is handled")
			require.Equal(t, []int64{0, 1, 2, 3}, w.offsets())

			letters, err := w.List(t.Context(), deadletter.Filter{Limit: 10})
			require.NoError(t, err)
			for _, i := range []int{1, 3} {
				require.NoError(t, w.Discard(t.Context(), letters[i].ID))
			}
			testkit.Eventually(t, func() error { return park(4) })
			require.Subset(t, w.offsets(), []int64{0, 2, 4}, "nothing unhandled is dropped")
			require.NotContains(t, w.offsets(), int64(1), "the oldest handled one went")
		})
	}
}

// What a transaction parks is in the database already: it is kept in any case.
func TestFullDeadLettersKeepNoTransactionFromParking(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.Store = deadletter.NewBoundedStore(w.db, deadletter.Bounds{Letters: 1, Bytes: 1 << 40})
	require.NoError(t, w.Park(t.Context(), record(1), "not_json", "", ""))
	require.ErrorIs(t, w.Park(t.Context(), record(2), "not_json", "", ""), deadletter.ErrFull)
	_, err := w.ParkIn(t.Context(), w.db, record(3), "not_json", "", "")
	require.NoError(t, err)
	require.Equal(t, []int64{1, 3}, w.offsets())
}

func TestParkingInTurnEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.True(t, errors.Is(w.Park(ctx, record(1), "not_json", "", ""), context.Canceled))
}

func TestBoundsThatAreTooSmallAreRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, deadletter.Bounds{}.Validate(), "the default")
	require.EqualError(t, deadletter.Bounds{Letters: 999, Bytes: 1}.Validate(),
		"DEAD_LETTERS_MAX: 999 is less than 1000\nDEAD_LETTERS_MAX_BYTES: 1 is less than 16777216 (16 MiB)")
}

func TestTheMetricsSayHowFullTheDeadLettersAre(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.Store = deadletter.NewBoundedStore(w.db, deadletter.Bounds{Letters: 10, Bytes: 1 << 30})
	for n := range int64(3) {
		require.NoError(t, w.Park(t.Context(), messages.Record{Topic: "things", Offset: n, Time: record(n).Time, Value: make([]byte, 100)}, "not_json", "", ""))
	}
	require.NoError(t, w.Discard(t.Context(), w.newest()))
	require.NoError(t, testutil.CollectAndCompare(w.Collector(), bytes.NewBufferString(`
# HELP pasdetrois_dead_letters Messages that are parked as dead letters now, by reason.
# TYPE pasdetrois_dead_letters gauge
pasdetrois_dead_letters{reason="not_json"} 2
# HELP pasdetrois_dead_letters_limit Dead letters that the table holds at most.
# TYPE pasdetrois_dead_letters_limit gauge
pasdetrois_dead_letters_limit 10
# HELP pasdetrois_dead_letters_stored Dead letters that the table holds, by whether an operator has handled them.
# TYPE pasdetrois_dead_letters_stored gauge
pasdetrois_dead_letters_stored{handled="no"} 2
pasdetrois_dead_letters_stored{handled="yes"} 1
# HELP pasdetrois_dead_letters_stored_bytes Bytes that the dead letters take, by whether an operator has handled them.
# TYPE pasdetrois_dead_letters_stored_bytes gauge
pasdetrois_dead_letters_stored_bytes{handled="no"} 204
pasdetrois_dead_letters_stored_bytes{handled="yes"} 102
`), "pasdetrois_dead_letters", "pasdetrois_dead_letters_limit", "pasdetrois_dead_letters_stored", "pasdetrois_dead_letters_stored_bytes"))
}

// A replay of the topic reads parked records again. Each of them is one parked message, however often it is read.
func TestAMessageIsCountedAsParkedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	counted := func() float64 {
		t.Helper()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(w.Collector())
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "pasdetrois_messages_parked_total" {
				return f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		return 0
	}
	require.Zero(t, counted())
	for range 3 {
		for n := range int64(4) {
			require.NoError(t, w.Park(t.Context(), numbered(n), "not_json", "", ""))
		}
	}
	require.Equal(t, 4.0, counted())

	tx, err := w.db.Begin(t.Context())
	require.NoError(t, err)
	for n, want := range map[int64]bool{3: false, 4: true} {
		added, err := w.ParkIn(t.Context(), tx, numbered(n), "not_json", "", "")
		require.NoError(t, err)
		require.Equal(t, want, added)
	}
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, 4.0, counted(), "the caller counts after the commit")
	w.Count("not_json")
	require.Equal(t, 5.0, counted())
}

// numbered returns a record that differs from those of other numbers.
func numbered(n int64) messages.Record {
	return messages.Record{Topic: "things", Offset: n, Time: at, Value: []byte{byte(n)}}
}
