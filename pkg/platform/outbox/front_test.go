package outbox

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestTheFrontStandsBeforeEveryRowThatMayStillCome(t *testing.T) {
	t.Parallel()
	w := setup(t)
	f := newFront(w.pool, slog.New(slog.DiscardHandler))
	oldest := func() time.Time {
		t.Helper()
		_, at, err := f.advance(t.Context())
		require.NoError(t, err)
		return at
	}
	require.Zero(t, oldest())

	// A row whose transaction began early and commits late.
	late, err := w.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = late.Rollback(context.Background()) }()
	w.addIn(late, note("late", 1))

	row := w.add("early", 1)
	first := oldest()
	require.False(t, first.IsZero())
	require.NoError(t, err)
	_, err = w.pool.Exec(t.Context(), `DELETE FROM outbox WHERE id = $1`, row.ID)
	require.NoError(t, err)
	require.Zero(t, oldest())

	require.NoError(t, late.Commit(t.Context()))
	at := oldest()
	require.False(t, at.IsZero())
	require.True(t, at.Before(first), "it was put there first")

	w.add("next", 1)
	require.Equal(t, at, oldest())
	_, err = w.pool.Exec(t.Context(), `DELETE FROM outbox WHERE created_at = $1`, at)
	require.NoError(t, err)
	require.True(t, oldest().After(first))
}

func TestAFrontOfAnotherDatabaseIsForgotten(t *testing.T) {
	t.Parallel()
	w := setup(t)
	f := newFront(w.pool, slog.New(slog.DiscardHandler))
	_, err := f.observe(t.Context())
	require.NoError(t, err)
	f.before, f.writers.last = 9_000_000, 9_000_000 // of a database whose outbox had seen more messages
	w.add("o", 1)
	_, at, err := f.advance(t.Context())
	require.NoError(t, err)
	require.False(t, at.IsZero())
}

func TestWhatWasPublishedCostsNothingLaterBesideAnOpenTransaction(t *testing.T) {
	t.Parallel()
	const published, few = 500, 50
	database := testkit.Database(t, migrate)
	pool := database.OneConn(t, "")
	w := &world{t: t, url: database.AdminURL, pool: pool, kafka: &kafka{}}
	r := w.relay()
	_, _, err := r.front.advance(t.Context()) // prepares its statement
	require.NoError(t, err)
	database.OpenTransaction(t)
	var ids []int64
	for range published {
		ids = append(ids, w.add("o", 1).ID)
	}
	_, err = pool.Exec(t.Context(), deleteSQL, ids)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `ANALYZE outbox`) // it looks empty now
	require.NoError(t, err)
	last := w.add("o", 2).ID

	from, _, err := r.front.advance(t.Context())
	require.NoError(t, err)
	require.Equal(t, last-1, from)
	for what, entries := range map[string]int64{
		"look for the oldest": testkit.IndexEntries(t, pool, oldestSQL, from),
		"count":               testkit.IndexEntries(t, pool, pendingSQL, from, maxCounted),
		"open memory":         testkit.IndexEntries(t, pool, standingSQL, from, maxStanding),
		"look for rows left":  testkit.IndexEntries(t, pool, leftSQL, from, last, pageSize),
		"recover":             testkit.IndexEntries(t, pool, pageSQL, from, last, pageSize),
		"adopt":               testkit.IndexEntries(t, pool, adoptSQL),
		"ask for a row":       testkit.IndexEntries(t, pool, stillThereSQL, []int64{last}),
		"delete":              testkit.IndexEntries(t, pool, deleteSQL, []int64{last}),
		"delete many":         testkit.IndexEntries(t, pool, deleteSQL, ids[:few]),
	} {
		require.LessOrEqual(t, entries, int64(few), "index entries gone over to %s", what)
	}
}
