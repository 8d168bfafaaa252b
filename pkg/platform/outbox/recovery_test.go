package outbox

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

func (w *world) sweep(s *sweeper) {
	w.t.Helper()
	require.NoError(w.t, s.sweep(w.t.Context(), w.t.Context()))
}

// sweepUntil sweeps until n messages about the order are published.
func (w *world) sweepUntil(s *sweeper, orderID string, n int) {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		w.sweep(s)
		if got := w.kafka.of(orderID); len(got) != n {
			return fmt.Errorf("%d of %d messages of %s are published", len(got), n, orderID)
		}
		return nil
	})
}

func TestACrashAfterTheCommitHeals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range pageSize + 10 {
		w.add("o", i) // nobody tells the relay
	}
	w.run(w.relay(recoverAtOnce))
	w.done(pageSize + 10)
	require.True(t, slices.IsSorted(w.kafka.of("o")))
}

func TestTheMemoryPathHasItsGrace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := newSweeper(w.relay(func(c *Config) { c.Grace = time.Hour }))
	w.add("o", 1)
	w.sweep(s)
	require.Equal(t, 1, w.left())
	for i := range s.bounds.seen { // an hour later
		s.bounds.seen[i].at = s.bounds.seen[i].at.Add(-2 * time.Hour)
	}
	w.sweep(s)
	require.Zero(t, w.left())
}

func TestRecoveryLeavesWhatIsInMemoryAlone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.relay(recoverAtOnce)
	require.True(t, r.memory.beginOpening())
	r.memory.opened(nil)
	r.Enqueue(w.add("o", 1)) // nobody publishes: the relay does not run
	w.add("o", 2)            // must not overtake it
	w.add("other", 3)
	l := newSweeper(r)
	w.sweep(l)
	w.sweep(l)
	require.Empty(t, w.kafka.of("o"))

	q := <-r.memory.lanes.ready
	rows := r.memory.begin(q)
	require.True(t, r.publish(t.Context(), rows))
	r.memory.end(q)
	w.sweepUntil(l, "o", 2)
	w.sweepUntil(l, "other", 1)
	require.Equal(t, []int{1, 2}, w.kafka.of("o"))
	require.Equal(t, 1, w.left(), "the deleter has yet to delete what the memory path published")
}

func TestARowDeletedWhileRecoveryReadsIsNotPublishedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.relay()
	require.True(t, r.memory.beginOpening())
	r.memory.opened(nil)
	row := w.add("o", 1)
	r.Enqueue(row)
	r.memory.reading(true)
	r.memory.forget([]Row{row}) // published and deleted just now
	require.True(t, r.memory.ours(row.ID))
	r.memory.reading(false)
	require.False(t, r.memory.ours(row.ID))
}

func TestKafkaDownHoldsTheCursor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	l := newSweeper(w.relay(recoverAtOnce))
	w.add("o", 1)
	w.kafka.set(true)
	testkit.Eventually(t, func() error {
		if l.sweep(t.Context(), t.Context()) == nil {
			return errors.New("it did not try to publish")
		}
		return nil
	})
	w.kafka.set(false)
	w.sweepUntil(l, "o", 1)
}

func TestBothPathsPublishTheSameRecord(t *testing.T) {
	t.Parallel()
	w := setup(t)
	row := w.add("o", 1)
	w.sweepUntil(newSweeper(w.relay(recoverAtOnce)), "o", 1)
	got := w.kafka.records[0]
	require.Equal(t, string(row.Record.Key), string(got.Key))
	require.Equal(t, string(row.Record.Value), string(got.Value))
	require.Equal(t, row.Record.Headers, got.Headers)
	require.Equal(t, messages.TopicNotifications, got.Topic)
	require.False(t, got.Time.IsZero())
}
