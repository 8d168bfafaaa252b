package outbox

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestOneReplicaRecoversAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first, second := newLease(w.pool), newLease(w.connect())
	take := func(l *lease) bool {
		t.Helper()
		ours, err := l.take(t.Context())
		require.NoError(t, err)
		return ours
	}
	require.True(t, take(first))
	require.True(t, take(first))
	require.False(t, take(second))
	first.giveUp()
	require.True(t, take(second))

	// The holder died.
	_, err := w.pool.Exec(t.Context(), `UPDATE outbox_lease SET until = clock_timestamp()`)
	require.NoError(t, err)
	require.True(t, take(first))
	second.until = second.until.Add(-leaseFor)
	require.False(t, take(second), "a holder that was frozen finds out")
	second.giveUp()
	require.False(t, take(second), "nobody gives up what belongs to another")
}

func TestAReplicaWithoutTheLeaseLeavesTheRowsAlone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	other := newLease(w.connect())
	ours, err := other.take(t.Context())
	require.NoError(t, err)
	require.True(t, ours)
	s := newSweeper(w.relay(recoverAtOnce))
	w.add("o", 1)
	w.sweep(s)
	w.sweep(s)
	require.Equal(t, 1, w.left())
	other.giveUp()
	w.sweepUntil(s, "o", 1)
	testkit.Eventually(t, func() error {
		var held bool
		if err := w.pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM outbox_lease)`).Scan(&held); err != nil || held {
			return errors.Join(errors.New("the lease is still held"), err)
		}
		return nil
	})
}

func TestALostConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.run(w.relay(recoverAtOnce))
	w.add("o", 1)
	w.done(1)
	fresh := w.connect()
	_, err := fresh.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	require.NoError(t, err)
	w.addIn(fresh, note("o", 2))
	testkit.Eventually(t, func() error {
		if got := w.kafka.of("o"); len(got) != 2 {
			return fmt.Errorf("%d of 2 messages are published", len(got))
		}
		return nil
	})
}

// A session's lock stays behind on a connection that a pooler keeps.
func TestRecoveryLeavesNothingOnItsConnections(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.add("o", 1)
	w.sweepUntil(newSweeper(w.relay(recoverAtOnce)), "o", 1)
	var locks int
	require.NoError(t, w.connect().QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&locks))
	require.Zero(t, locks)
}
