package pgdb_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
)

const undoneSQL = `DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$`

func TestWhatIsUndoneIsDoneAgainAFewTimes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ran := 0
	require.NoError(t, pgdb.InTx(t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		_, err := tx.Exec(ctx, insertSQL)
		require.NoError(t, err, "what was done before is undone")
		if ran++; ran < 3 {
			_, err = pgdb.Exec(ctx, tx, undoneSQL) // within a transaction it is not repeated alone
		}
		return err
	}))
	require.Equal(t, 3, ran)
	require.Equal(t, 1, scan[int](t, w.pool, countSQL))

	ran = 0
	_, err := pgdb.Exec(t.Context(), counted{w.pool, &ran}, undoneSQL)
	require.Equal(t, "40001", pgError(err).Code)
	require.Equal(t, 5, ran, "not for ever")
	require.True(t, pgdb.IsUnavailable(err))

	ran = 0
	_, err = pgdb.Exec(t.Context(), counted{w.pool, &ran}, `SELECT 1 / 0`)
	require.Error(t, err)
	require.Equal(t, 1, ran, "nothing else is repeated")

	ran = 0
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, pgdb.Retry(ended, func(context.Context) error { ran++; return err40001(t, w) }))
	require.Equal(t, 1, ran)
}

func err40001(t *testing.T, w *world) error {
	_, err := w.pool.Exec(t.Context(), undoneSQL)
	return err
}

type counted struct {
	pgdb.Querier
	ran *int
}

func (c counted) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	*c.ran++
	return c.Querier.Exec(ctx, sql, args...)
}

func TestTransactionsThatWaitForEachOtherAllHappen(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.pool.Exec(t.Context(), `INSERT INTO things VALUES ('a', 1), ('b', 2)`)
	require.NoError(t, err)
	pool := w.open(pgdb.Config{URL: w.admin + "&options=-c%20deadlock_timeout%3D50ms"})
	both := make(chan struct{}, 2)
	met := sync.OnceFunc(func() { both <- struct{}{}; both <- struct{}{} })
	var locked sync.WaitGroup
	locked.Add(2)
	go func() { locked.Wait(); met() }()
	const growSQL = `UPDATE things SET size = size + 10 WHERE name = $1`
	grow := func(first, second string) error {
		once := sync.OnceFunc(func() { locked.Done(); <-both })
		return pgdb.InTx(t.Context(), pool, func(ctx context.Context, tx *pgdb.Tx) error {
			_, err := tx.Exec(ctx, growSQL, first)
			if err == nil {
				once() // each has its first before one asks for its second
				_, err = tx.Exec(ctx, growSQL, second)
			}
			return err
		})
	}
	other := make(chan error, 1)
	go func() { other <- grow("b", "a") }()
	require.NoError(t, errors.Join(grow("a", "b"), <-other))
	require.Equal(t, 21+22, scan[int](t, w.pool, `SELECT sum(size) FROM things`))
}

// A migration under a running service changes the results of statements that every connection has prepared.
func TestAStatementWhoseTypesChangedIsPreparedAnew(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.pool.Exec(t.Context(), insertSQL)
	require.NoError(t, err)
	pool := w.open(pgdb.Config{URL: w.admin, MaxConns: 3})
	read := func() (sizes [3]int) {
		t.Helper()
		var err error
		sizes[0], err = pgdb.CollectOne(t.Context(), pool, pgx.RowTo[int], `SELECT size FROM things`)
		require.NoError(t, err)
		all, err := pgdb.Collect(t.Context(), pool, pgx.RowTo[int], `SELECT size FROM things ORDER BY name`)
		require.NoError(t, err)
		sizes[1] = all[0]
		require.NoError(t, pgdb.InTx(t.Context(), pool, func(ctx context.Context, tx *pgdb.Tx) error {
			var batch pgx.Batch
			batch.Queue(`SELECT size FROM things FOR UPDATE`).QueryRow(func(row pgx.Row) error { return row.Scan(&sizes[2]) })
			return tx.Finish(ctx, &batch)
		}))
		return sizes
	}
	everyConn(t, pool, read)
	for _, kind := range []string{"bigint", "integer"} {
		_, err = w.pool.Exec(t.Context(), `ALTER TABLE things ALTER COLUMN size TYPE `+kind)
		require.NoError(t, err)
		everyConn(t, pool, read)
	}
}

// everyConn has each connection of the pool run read, so that each has its statements prepared.
func everyConn(t *testing.T, pool *pgxpool.Pool, read func() [3]int) {
	t.Helper()
	var busy []*pgxpool.Conn
	for range pool.Config().MaxConns {
		require.Equal(t, [3]int{1, 1, 1}, read())
		if len(busy) < int(pool.Config().MaxConns)-1 {
			c, err := pool.Acquire(t.Context())
			require.NoError(t, err)
			busy = append(busy, c)
		}
	}
	for _, c := range busy {
		c.Release()
	}
}
