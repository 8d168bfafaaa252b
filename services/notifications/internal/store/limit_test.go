package store_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/store"
)

func limit(t *testing.T, perHour int) (*store.Limit, *pgxpool.Pool) {
	_, pool := setup(t)
	return store.NewLimit(pool, perHour, strings.ToLower), pool
}

// later makes it so much later for what the limit counted.
func later(t *testing.T, pool *pgxpool.Pool, by time.Duration) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `UPDATE mailboxes SET slots = ARRAY(SELECT s - $1::interval FROM unnest(slots) AS s)`, by)
	require.NoError(t, err)
}

// All replicas share the table, so many takers at once stand for many replicas.
func TestTakeLetsNoMoreThroughThanTheLimitHoweverManyTakeAtOnce(t *testing.T) {
	t.Parallel()
	l, _ := limit(t, 5)
	var takers sync.WaitGroup
	var through atomic.Int32
	for range 20 {
		takers.Go(func() {
			_, now, err := l.Take(t.Context(), "Ann@example.org", false)
			if err == nil && now {
				through.Add(1)
			}
		})
	}
	takers.Wait()
	require.EqualValues(t, 5, through.Load())
	_, now, err := l.Take(t.Context(), "bob@example.org", false)
	require.NoError(t, err)
	require.True(t, now, "another mailbox has room of its own")
}

// Every hour has at most the limit, wherever it begins: an email goes an hour after the one that is limit places before it.
func TestTakeGivesEachEmailItsOwnTime(t *testing.T) {
	t.Parallel()
	l, pool := limit(t, 2)
	take := func(want bool) time.Time {
		t.Helper()
		slot, now, err := l.Take(t.Context(), "ann@example.org", false)
		require.NoError(t, err)
		require.Equal(t, want, now)
		return slot
	}
	first := take(true)
	later(t, pool, 40*time.Minute)
	second := take(true)
	third := take(false)
	require.WithinDuration(t, first.Add(20*time.Minute), third, time.Second, "an hour after the first")
	require.WithinDuration(t, second.Add(time.Hour), take(false), time.Second, "an hour after the second")
	require.WithinDuration(t, third.Add(time.Hour), take(false), time.Second)
	later(t, pool, 4*time.Hour)
	take(true)
	take(true)
	take(false)
}

func TestTakeRefusesWhatWouldWaitForMoreThanADay(t *testing.T) {
	t.Parallel()
	l, pool := limit(t, 1)
	for range 24 {
		slot, _, err := l.Take(t.Context(), "ann@example.org", false)
		require.NoError(t, err)
		require.Less(t, time.Until(slot), 24*time.Hour)
	}
	_, _, err := l.Take(t.Context(), "ann@example.org", false)
	require.ErrorIs(t, err, app.ErrTooMany)
	slot, _, err := l.Take(t.Context(), "ann@example.org", true)
	require.NoError(t, err, "it had a time once")
	require.InDelta(t, 24*time.Hour, time.Until(slot), float64(time.Minute))
	later(t, pool, 2*time.Hour)
	_, _, err = l.Take(t.Context(), "ann@example.org", false)
	require.NoError(t, err, "two hours later there is room for one more")
}

func TestGiveBackMakesRoomAndPruneForgets(t *testing.T) {
	t.Parallel()
	l, pool := limit(t, 1)
	for range 3 {
		slot, now, err := l.Take(t.Context(), "ann@example.org", false)
		require.NoError(t, err)
		require.True(t, now)
		require.NoError(t, l.GiveBack(t.Context(), "ANN@example.org", slot))
	}
	rows := func() (n int) {
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM mailboxes`).Scan(&n))
		return n
	}
	_, _, err := l.Take(t.Context(), "ann@example.org", false)
	require.NoError(t, err)
	require.NoError(t, l.Prune(t.Context()))
	require.Equal(t, 1, rows(), "it counts for an hour")
	later(t, pool, time.Hour)
	require.NoError(t, l.Prune(t.Context()))
	require.Zero(t, rows())
}

// A crash of Postgres, and a takeover by its standby, must not forget the times of those who wait: newcomers would get them
// once more. Both empty a table that is not logged.
func TestMailboxesOutliveACrash(t *testing.T) {
	t.Parallel()
	_, pool := limit(t, 1)
	var logged bool
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT relpersistence = 'p' FROM pg_class WHERE oid = 'mailboxes'::regclass`).Scan(&logged))
	require.True(t, logged)
}

func TestPruneForgetsAllAtOnce(t *testing.T) {
	t.Parallel()
	l, pool := limit(t, 1)
	_, err := pool.Exec(t.Context(), `INSERT INTO mailboxes SELECT n::text, ARRAY[now() - interval '2 hours'] FROM generate_series(1, 25000) AS n`)
	require.NoError(t, err)
	require.NoError(t, l.Prune(t.Context()))
	var left int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM mailboxes`).Scan(&left))
	require.Zero(t, left)
}
