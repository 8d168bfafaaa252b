package rebuild

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneRebuildAtATime(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	first, held, err := Take(t.Context(), pool)
	require.NoError(t, err)
	_, _, err = Take(t.Context(), pool)
	var busy *BusyError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, first.holder, busy.Holder)
	require.NoError(t, held.Err())
	first.Give()
	require.ErrorIs(t, held.Err(), context.Canceled)
	second, _, err := Take(t.Context(), pool)
	require.NoError(t, err)
	second.Give()
}

// A killed process leaves its row. It stands still, so the next one waits for its end.
func TestTheLeaseOfAKilledProcessEnds(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	_, err := pool.Exec(t.Context(), `INSERT INTO rebuild_lease (holder, until) VALUES ('killed', clock_timestamp() + interval '1 second')`)
	require.NoError(t, err)
	l, _, err := Take(t.Context(), pool)
	require.NoError(t, err)
	l.Give()
}

func TestAHolderThatLosesItsLeaseStops(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	l, held, err := Take(t.Context(), pool)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `UPDATE rebuild_lease SET holder = 'another', until = clock_timestamp() + interval '1 hour'`)
	require.NoError(t, err)
	ends(t, held)
	var busy *BusyError
	require.ErrorAs(t, context.Cause(held), &busy)
	l.Give()
	require.Equal(t, 1, rows(t, pool, "rebuild_lease"), "it deletes its own row only")
}

// After a crash of the server the row is gone, and so is the staging.
func TestALeaseWhoseRowIsGoneIsLost(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	l, held, err := Take(t.Context(), pool)
	require.NoError(t, err)
	s, err := NewStaging(l, nil)
	require.NoError(t, err)
	defer s.Close()
	_, err = pool.Exec(t.Context(), `TRUNCATE rebuild_lease, rebuild_records, rebuild_progress`)
	require.NoError(t, err)
	var lost *LostError
	s.Add("o", placed(t, "o", 7, time.Now()))
	require.ErrorAs(t, s.Save(t.Context(), map[Place]Progress{{"orders", 2}: {Next: 8}}), &lost)
	require.Zero(t, rows(t, pool, "rebuild_records")+rows(t, pool, "rebuild_progress"))
	require.ErrorAs(t, l.Renew(t.Context()), &lost)
	ends(t, held)
	require.ErrorAs(t, context.Cause(held), &lost)
	l.Give()
	require.Zero(t, rows(t, pool, "rebuild_lease"), "it is not made again")
}

// A process that was frozen until another rebuild began must not empty the staging of that one.
func TestAHolderThatLostItsLeaseEmptiesNothing(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	frozen := &Lease{pool: pool, holder: "frozen"}
	require.NoError(t, frozen.take(t.Context()))
	s, err := NewStaging(frozen, nil)
	require.NoError(t, err)
	defer s.Close()
	_, err = pool.Exec(t.Context(), `UPDATE rebuild_lease SET until = clock_timestamp()`)
	require.NoError(t, err)
	other := staging(t, pool)
	other.Add("o", placed(t, "o", 7, time.Now()))
	require.NoError(t, other.Save(t.Context(), nil))
	var lost *LostError
	require.ErrorAs(t, s.Clear(t.Context()), &lost)
	require.Equal(t, 1, rows(t, pool, "rebuild_records"))
	var busy *BusyError
	require.ErrorAs(t, frozen.Renew(t.Context()), &busy)
	require.Equal(t, "test", busy.Holder)
}

func ends(t *testing.T, ctx context.Context) {
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		require.Fail(t, "it goes on")
	}
}

func TestNoRebuildWhileAReplicaLives(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	_, err := pool.Exec(t.Context(), `INSERT INTO replicas (name, renewed_at) VALUES ('dead', clock_timestamp() - interval '1 minute')`)
	require.NoError(t, err)
	l, held, err := Take(t.Context(), pool)
	require.NoError(t, err, "a row that stands still is of a replica that died")
	_, err = pool.Exec(t.Context(), `UPDATE replicas SET name = 'alive', renewed_at = clock_timestamp() + interval '1 hour'`)
	require.NoError(t, err)
	ends(t, held)
	var alive *AliveError
	require.ErrorAs(t, context.Cause(held), &alive)
	require.Equal(t, "alive", alive.Replica)
	l.Give()
	_, _, err = Take(t.Context(), pool)
	require.ErrorAs(t, err, &alive)
}
