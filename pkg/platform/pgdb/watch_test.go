package pgdb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

// watch runs a watch over the world's pool, and returns what its log says.
func (w *world) watch(every, after time.Duration) (*pgdb.Watch, *log) {
	w.t.Helper()
	said := &log{}
	watch := pgdb.NewWatch(w.pool, slog.New(slog.NewJSONHandler(said, nil))).Hurry(every, after)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- watch.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		require.NoError(w.t, <-ended)
	})
	return watch, said
}

// A wait ends after lock_timeout and begins again: it is the transaction that lasts.
func TestWhoHoldsTheServiceUpIsTold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.pool.Exec(t.Context(), insertSQL)
	require.NoError(t, err)
	w.pool = w.open(pgdb.Config{URL: w.admin + "&lock_timeout=100ms", MaxConns: 1})
	watch, said := w.watch(20*time.Millisecond, 500*time.Millisecond)

	holder, err := pgx.Connect(t.Context(), w.admin+"&application_name=somebody")
	require.NoError(t, err)
	defer holder.Close(context.Background())
	_, err = holder.Exec(t.Context(), `BEGIN; UPDATE things SET size = 2`)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() { // all connections of the pool wait
		for ctx.Err() == nil {
			if _, err := w.pool.Exec(ctx, `UPDATE things SET size = 3`); err == nil {
				waited <- nil
				return
			} else if ctx.Err() == nil && pgError(err).Code != "55P03" {
				waited <- err
				return
			}
		}
		waited <- ctx.Err()
	}()
	defer cancel()

	var told error
	testkit.Eventually(t, func() error {
		if told = watch.Check(t.Context()); told == nil {
			return errors.New("it says nothing")
		}
		return nil
	})
	for _, part := range []string{fmt.Sprintf("pid %d", holder.PgConn().PID()), "somebody", "role postgres", "idle in transaction"} {
		require.Contains(t, told.Error(), part)
	}
	var passed interface{ Passed() bool }
	require.ErrorAs(t, told, &passed)
	require.True(t, passed.Passed(), "no other replica fares better")
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(watch)
	require.GreaterOrEqual(t, testutil.ToFloat64(watch), 0.5)
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)

	testkit.Eventually(t, func() error {
		if len(said.lines()) == 0 {
			return errors.New("the log does not say it")
		}
		return nil
	})
	_, err = holder.Exec(t.Context(), `COMMIT`)
	require.NoError(t, err)
	require.NoError(t, <-waited)
	testkit.Eventually(t, func() error { return watch.Check(t.Context()) })
	testkit.Eventually(t, func() error {
		if len(said.lines()) < 2 {
			return errors.New("the log does not say that it is over")
		}
		return nil
	})
	require.Len(t, said.lines(), 2, "one line when it is told, one when it is over")
	require.Contains(t, said.lines()[0], "somebody")
	require.Contains(t, said.lines()[1], "nothing waits any more")
	require.Zero(t, testutil.ToFloat64(watch))
}

// Under load some session waits for some other at most moments. That is work, not a stand-still.
func TestManyShortWaitsAreNotTold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.pool.Exec(t.Context(), insertSQL)
	require.NoError(t, err)
	w.pool = w.open(pgdb.Config{URL: w.admin, MaxConns: 4})
	watch, said := w.watch(5*time.Millisecond, 4*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	ended := make(chan struct{}, 4)
	for range cap(ended) {
		go func() {
			for ctx.Err() == nil {
				_, _ = w.pool.Exec(ctx, `UPDATE things SET size = 3 - size WHERE pg_sleep(0.01) IS NOT NULL`)
			}
			ended <- struct{}{}
		}()
	}
	for range cap(ended) {
		<-ended
	}
	require.NoError(t, watch.Check(t.Context()))
	require.Empty(t, strings.Join(said.lines(), "\n"))
}
