package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

// A transaction anywhere on the server: another database, or another table of this one.
func TestAStrangersOpenTransactionHoldsNothingBack(t *testing.T) {
	t.Parallel()
	for name, elsewhere := range map[string]bool{"another database": true, "this database": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			url := w.url
			if elsewhere {
				url = testkit.Database(t, migrate).AdminURL
			}
			stranger, err := pgx.Connect(t.Context(), url)
			require.NoError(t, err)
			defer func() { _ = stranger.Close(context.Background()) }()
			_, err = stranger.Exec(t.Context(), `BEGIN; SELECT pg_current_xact_id(); INSERT INTO other VALUES (1)`)
			require.NoError(t, err)

			r := w.relay(recoverAtOnce)
			w.add("o", 1) // a crash left it
			w.run(r)
			w.done(1)
			since, err := r.Stuck(t.Context())
			require.NoError(t, err)
			require.Zero(t, since)
			require.NoError(t, r.Check(t.Context()))
			place, err := r.front.observe(t.Context())
			require.NoError(t, err)
			require.Equal(t, place.last, place.settled, "nothing holds the front")
		})
	}
}

// Ids are given out before the commit, so a row can become visible behind one that was published already.
func TestRowsThatCommitLateAreNotSkipped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := newSweeper(w.relay(recoverAtOnce))
	slow, err := w.pool.Begin(t.Context())
	require.NoError(t, err)
	w.addIn(slow, note("slow", 1))
	w.add("fast", 1)
	w.sweepUntil(s, "fast", 1)
	w.sweep(s)
	require.Empty(t, w.kafka.of("slow"))
	require.NoError(t, slow.Commit(t.Context()))
	w.sweepUntil(s, "slow", 1)
	require.Zero(t, w.left())
}

// The number of a transaction may be far older than its lock on the table: a bound that goes by the numbers of those who
// hold the lock would be past it already.
func TestRowsOfAnOldTransactionThatComesLateAreNotSkipped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := newSweeper(w.relay(recoverAtOnce))
	old, err := w.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = old.Exec(t.Context(), `INSERT INTO other VALUES (1)`) // it has its number now
	require.NoError(t, err)
	w.add("fast", 1)
	w.sweepUntil(s, "fast", 1)
	w.sweep(s)
	w.addIn(old, note("old", 1))
	w.sweep(s)
	w.sweep(s)
	require.NoError(t, old.Commit(t.Context()))
	w.sweepUntil(s, "old", 1)
}

func TestRowsOfAPreparedTransactionAreNotSkipped(t *testing.T) {
	t.Parallel()
	open := map[string]writer{"3/1": {"3/1", 7}, "4/1": {"4/1", 8}, "prepared": {"-1/9", 0}}
	var w writers
	require.EqualValues(t, 10, w.observe(10, nil, time.Now()))
	require.EqualValues(t, 10, w.observe(20, []writer{open["3/1"]}, time.Now()))
	require.EqualValues(t, 10, w.observe(30, []writer{open["3/1"], open["4/1"]}, time.Now()))
	require.EqualValues(t, 10, w.observe(40, []writer{open["prepared"]}, time.Now()), "it may be the first one")
	require.EqualValues(t, 50, w.observe(50, nil, time.Now()))
	require.EqualValues(t, 50, w.observe(60, []writer{open["prepared"]}, time.Now()))
}

func TestWritersThatWereThereFirstAreWaitedFor(t *testing.T) {
	t.Parallel()
	var w writers
	first := []writer{{"3/1", 7}}
	require.Zero(t, w.observe(100, first, time.Now()), "it may have any id")
	require.Zero(t, w.observe(200, first, time.Now()))
	require.EqualValues(t, 300, w.observe(300, nil, time.Now()))
}

// Writers with every habit at once, and no memory: whatever was committed is published.
func TestNoRowIsSkippedUnderWriters(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.run(w.relay(recoverAtOnce, func(c *Config) { c.Poll = time.Millisecond }))
	const writers, each = 8, 40
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for j := range each {
				tx, err := w.pool.Begin(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if random.IntN(2) == 0 {
					_, _ = tx.Exec(t.Context(), `INSERT INTO other VALUES (1)`)
				}
				_, _ = tx.Exec(t.Context(), `SELECT pg_sleep($1)`, random.Float64()/100)
				w.addIn(tx, note(fmt.Sprintf("o%d", i), j))
				_, _ = tx.Exec(t.Context(), `SELECT pg_sleep($1)`, random.Float64()/50)
				if err := tx.Commit(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	w.done(writers * each)
}

func TestAWriterThatDoesNotEndIsNamed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.relay(recoverAtOnce)
	culprit, err := pgx.Connect(t.Context(), w.url+"&application_name=forgotten-shell")
	require.NoError(t, err)
	defer func() { _ = culprit.Close(context.Background()) }()
	tx, err := culprit.Begin(t.Context())
	require.NoError(t, err)
	w.addIn(tx, note("slow", 1))
	w.add("o", 1)
	w.run(r)
	testkit.Eventually(t, func() error {
		if got := w.kafka.of("o"); len(got) != 1 {
			return errors.New("it keeps others from being published")
		}
		return nil
	})
	testkit.Eventually(t, func() error {
		r.front.mu.Lock()
		defer r.front.mu.Unlock()
		for name, o := range r.front.writers.open { // a minute later
			o.since = time.Now().Add(-time.Minute)
			r.front.writers.open[name] = o
		}
		if r.front.slow == nil {
			return errors.New("it is not told")
		}
		return nil
	})
	var slow *SlowWriter
	require.ErrorAs(t, r.Check(t.Context()), &slow)
	require.True(t, slow.Passed())
	require.EqualValues(t, culprit.PgConn().PID(), slow.PID)
	require.Equal(t, "forgotten-shell", slow.Application)
	require.GreaterOrEqual(t, slow.Age, time.Minute)

	require.NoError(t, tx.Commit(t.Context()))
	w.done(2)
	testkit.Eventually(t, func() error { return r.Check(t.Context()) })
}
