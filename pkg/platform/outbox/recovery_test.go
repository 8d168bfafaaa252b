package outbox

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

// leader makes a relay the leader without running it, so that a test decides when it sweeps.
func (w *world) leader(r *Relay) *leader {
	w.t.Helper()
	l, err := r.elect(w.t.Context())
	require.NoError(w.t, err)
	require.NotNil(w.t, l)
	w.t.Cleanup(l.resign)
	return l
}

func (w *world) sweep(l *leader) {
	w.t.Helper()
	require.NoError(w.t, l.sweep(w.t.Context(), w.t.Context()))
}

// sweepUntil sweeps until n messages about the order are published. Once need not be enough: an open transaction of
// another test, in another database of the same server, holds the bound back.
func (w *world) sweepUntil(l *leader, orderID string, n int) {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		w.sweep(l)
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

// Ids and xids are given out before the commit, so a row can become visible behind one that was published already.
func TestRowsThatCommitLateAreNotSkipped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	l := w.leader(w.relay(recoverAtOnce))
	slow, err := w.pool.Begin(t.Context())
	require.NoError(t, err)
	w.addIn(slow, note("slow", 1))
	w.add("fast", 1)
	w.sweep(l)
	w.sweep(l)
	require.Empty(t, w.kafka.of("fast"), "recovery must not go beyond an open transaction")
	require.NoError(t, slow.Commit(t.Context()))
	w.sweepUntil(l, "slow", 1)
	w.sweepUntil(l, "fast", 1)
	require.Zero(t, w.left())
}

func TestTheMemoryPathHasItsGrace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	l := w.leader(w.relay(func(c *Config) { c.Grace = time.Hour }))
	w.add("o", 1)
	testkit.Eventually(t, func() error {
		var behind bool
		err := w.pool.QueryRow(t.Context(), `SELECT pg_snapshot_xmin(pg_current_snapshot()) > max(xid) FROM outbox`).Scan(&behind)
		if err != nil || !behind {
			return fmt.Errorf("an older transaction is open: %w", err)
		}
		return nil
	})
	w.sweep(l)
	require.Equal(t, 1, w.left())
	testkit.Eventually(t, func() error {
		for i := range l.bounds { // an hour later
			l.bounds[i].at = l.bounds[i].at.Add(-2 * time.Hour)
		}
		w.sweep(l)
		if w.left() > 0 {
			return errors.New("it is not published")
		}
		return nil
	})
}

func TestRecoveryLeavesWhatIsInMemoryAlone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.relay(recoverAtOnce)
	r.memory.opened(nil)
	r.Enqueue(w.add("o", 1)) // nobody publishes: the relay does not run
	w.add("o", 2)            // must not overtake it
	w.add("other", 3)
	l := w.leader(r)
	w.sweep(l)
	require.Empty(t, w.kafka.of("o"))

	q := <-r.memory.ready
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
	r.memory.opened(nil)
	row := w.add("o", 1)
	r.Enqueue(row)
	r.memory.reading(true)
	r.memory.forget([]Row{row}) // published and deleted just now
	require.True(t, r.memory.ours(row.ID))
	r.memory.reading(false)
	require.False(t, r.memory.ours(row.ID))
}

func TestOneReplicaRecoversAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := w.leader(w.relay(recoverAtOnce))
	second := w.relay(recoverAtOnce, func(c *Config) { c.Pool = w.connect() })
	l, err := second.elect(t.Context())
	require.NoError(t, err)
	require.Nil(t, l)

	// The leader's connection dies, and its lock with it.
	conn, err := pgx.Connect(t.Context(), w.url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), `SELECT pg_terminate_backend($1)`, first.conn.Conn().PgConn().PID())
	require.NoError(t, err)
	testkit.Eventually(t, func() error {
		if l, err = second.elect(t.Context()); err != nil || l == nil {
			return fmt.Errorf("not elected: %w", err)
		}
		return nil
	})
	t.Cleanup(l.resign)
	require.Error(t, first.sweep(t.Context(), t.Context()), "who lost the lock must not go on")
	w.add("o", 1)
	w.sweepUntil(l, "o", 1)
}

func TestALostConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.run(w.relay(recoverAtOnce))
	w.add("o", 1)
	w.done(1)
	_, err := w.connect().Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	require.NoError(t, err)
	w.add("o", 2)
	w.done(2)
}

func TestKafkaDownHoldsTheCursor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	l := w.leader(w.relay(recoverAtOnce))
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

func TestRecoveryCountsInTransactionsNotInLetters(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i, xid := range []string{"9", "10", "99", "100"} {
		_, err := w.pool.Exec(t.Context(), `UPDATE outbox SET xid = $2::text::xid8 WHERE id = $1`, w.add("o", i).ID, xid)
		require.NoError(t, err)
	}
	w.sweepUntil(w.leader(w.relay(recoverAtOnce)), "o", 4)
	require.Equal(t, []int{0, 1, 2, 3}, w.kafka.of("o"))
}

// A restored table carries xids of the cluster that it was dumped from.
func TestRowsOfARestoredDatabaseAreRecovered(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.add("o", 1)
	_, err := w.pool.Exec(t.Context(), `UPDATE outbox SET xid = '9223372036854775000'`)
	require.NoError(t, err)
	w.sweepUntil(w.leader(w.relay(recoverAtOnce)), "o", 1)
}

func TestBothPathsPublishTheSameRecord(t *testing.T) {
	t.Parallel()
	w := setup(t)
	row := w.add("o", 1)
	w.sweepUntil(w.leader(w.relay(recoverAtOnce)), "o", 1)
	got := w.kafka.records[0]
	require.Equal(t, string(row.Record.Key), string(got.Key))
	require.Equal(t, string(row.Record.Value), string(got.Value))
	require.Equal(t, row.Record.Headers, got.Headers)
	require.Equal(t, messages.TopicNotifications, got.Topic)
	require.False(t, got.Time.IsZero())
}
