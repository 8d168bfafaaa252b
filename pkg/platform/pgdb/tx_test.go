package pgdb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/pgdb"
)

// run runs one statement in InTx.
func (w *world) run(sql string, args ...any) error {
	return pgdb.InTx(w.t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}

func TestATransactionIsCommittedOrRolledBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.run(insertSQL))
	changed := errors.New("changed my mind")
	require.ErrorIs(t, pgdb.InTx(t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM things`)
		require.NoError(t, err)
		return changed
	}), changed)
	require.Equal(t, 1, scan[int](t, w.pool, countSQL))
}

// Rolled back with the caller's context, the transaction would be open until the server notices the lost connection.
func TestRollingBackNeedsNoLivingContext(t *testing.T) {
	t.Parallel()
	w := setup(t)
	before := scan[int](t, w.pool, pidSQL)
	ctx, cancel := context.WithCancel(t.Context())
	err := pgdb.InTx(ctx, w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		_, err := tx.Exec(ctx, insertSQL)
		require.NoError(t, err)
		cancel()
		return ctx.Err()
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, fault.Cancelled, fault.KindOf(err))
	require.Equal(t, before, scan[int](t, w.pool, pidSQL), "the connection is fit for use")
	require.Zero(t, scan[int](t, w.pool, countSQL))
}

func TestAPanicRollsBackAndGivesTheConnectionBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.PanicsWithValue(t, "boom", func() {
		_ = pgdb.InTx(t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
			_, err := tx.Exec(ctx, insertSQL)
			require.NoError(t, err)
			panic("boom")
		})
	})
	require.Zero(t, scan[int](t, w.pool, countSQL))
}

func TestACommitWithoutAnAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.proxy.LoseAnswerTo(commitBound)
	err := w.run(insertSQL)
	require.ErrorIs(t, err, pgdb.ErrCommitUnknown)
	require.Equal(t, fault.Transient, fault.KindOf(err))
	require.True(t, pgdb.IsUnavailable(err))
	direct := w.open(pgdb.Config{URL: w.admin})
	require.Eventually(t, func() bool { return scan[int](t, direct, countSQL) == 1 }, 30*time.Second, time.Millisecond,
		"this one did happen")
}

// finish runs statements in one transaction, all in one round trip.
func (w *world) finish(statements ...string) error {
	return pgdb.InTx(w.t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		var batch pgx.Batch
		for _, sql := range statements {
			batch.Queue(sql)
		}
		return tx.Finish(ctx, &batch)
	})
}

func TestTheLastStatementsAreCommittedWithoutAskingAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.finish())
	require.NoError(t, w.finish(`SELECT 1`, insertSQL))
	require.Equal(t, 1, scan[int](t, w.pool, countSQL))

	w = setup(t)
	w.proxy.LoseAnswerTo(commitBound)
	err := w.finish(insertSQL)
	require.ErrorIs(t, err, pgdb.ErrCommitUnknown)
	require.Equal(t, fault.Transient, fault.KindOf(err))
	direct := w.open(pgdb.Config{URL: w.admin})
	require.Eventually(t, func() bool { return scan[int](t, direct, countSQL) == 1 }, 30*time.Second, time.Millisecond, "this one did happen")
}

func TestWhatFailsAmongTheLastStatementsKeepsTheOthersFromBeingCommitted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	before := scan[int](t, w.pool, pidSQL)
	for _, statements := range [][]string{
		{insertSQL, `SELECT 1 / 0`},
		{`SELECT 1 / 0`, insertSQL},
		{`INSERT INTO things VALUES ('a', 1), ('b', 1)`}, // checked at the commit
	} {
		err := w.finish(statements...)
		require.NotNil(t, pgError(err), "%v", err)
		require.NotErrorIs(t, err, pgdb.ErrCommitUnknown)
		require.Zero(t, scan[int](t, w.pool, countSQL))
	}
	require.Equal(t, before, scan[int](t, w.pool, pidSQL), "the connection is fit for use")

	gone, cancel := context.WithCancel(t.Context())
	err := pgdb.InTx(gone, w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		_, err := tx.Exec(ctx, insertSQL)
		require.NoError(t, err)
		cancel()
		return tx.Finish(ctx, &pgx.Batch{})
	})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, pgdb.ErrCommitUnknown, "it was not even sent")
	require.Zero(t, scan[int](t, w.pool, countSQL))
}

func TestATransactionThatIsOverTakesNothingMore(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, pgdb.InTx(t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		var batch pgx.Batch
		batch.Queue(countSQL)
		require.NoError(t, tx.Finish(ctx, &batch))
		_, err := tx.Exec(ctx, insertSQL)
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		_, err = tx.Query(ctx, countSQL)
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		require.ErrorIs(t, tx.QueryRow(ctx, countSQL).Scan(), pgx.ErrTxClosed)
		require.ErrorIs(t, tx.Send(ctx, &batch), pgx.ErrTxClosed)
		require.ErrorIs(t, tx.Finish(ctx, &batch), pgx.ErrTxClosed)
		return nil
	}))
	require.Zero(t, scan[int](t, w.pool, countSQL))
}

// However it begins, all of it is one transaction.
func TestATransactionBeginsWithItsFirstStatement(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const inBlockSQL = `SELECT pg_current_xact_id()::text || now()::text`
	for name, first := range map[string]func(ctx context.Context, tx *pgdb.Tx, place *string) error{
		"row": func(ctx context.Context, tx *pgdb.Tx, place *string) error {
			return tx.QueryRow(ctx, inBlockSQL).Scan(place)
		},
		"rows": func(ctx context.Context, tx *pgdb.Tx, place *string) (err error) {
			rows, err := tx.Query(ctx, inBlockSQL)
			if err == nil {
				*place, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
			}
			return err
		},
		"batch": func(ctx context.Context, tx *pgdb.Tx, place *string) error {
			var batch pgx.Batch
			batch.Queue(inBlockSQL).QueryRow(func(row pgx.Row) error { return row.Scan(place) })
			return tx.Send(ctx, &batch)
		},
	} {
		var one, other string
		require.NoError(t, pgdb.InTx(t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
			require.NoError(t, first(ctx, tx, &one))
			return tx.QueryRow(ctx, inBlockSQL).Scan(&other)
		}), name)
		require.Equal(t, one, other, name)
	}
}

func TestACommitThatTheServerRefusesIsNoMystery(t *testing.T) {
	t.Parallel()
	w := setup(t)
	err := w.run(`INSERT INTO things VALUES ('a', 1), ('b', 1)`) // checked at the commit
	require.True(t, pgdb.IsUniqueViolation(err, "thing_size_once"), "%v", err)
	require.NotErrorIs(t, err, pgdb.ErrCommitUnknown)

	err = pgdb.InTx(t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		_, err := tx.Exec(ctx, `SELECT 1 / 0`)
		require.Error(t, err)
		return nil // as if nothing had happened
	})
	require.ErrorIs(t, err, pgx.ErrTxCommitRollback)
	require.NotErrorIs(t, err, pgdb.ErrCommitUnknown)
}

func TestDataThatTheDatabaseNeverTakesIsPermanent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for statement, value := range map[string]any{
		`INSERT INTO things VALUES ('a', $1)`:      0,        // a CHECK
		`INSERT INTO things VALUES ($1, 1)`:        "a\x00b", // no text
		`INSERT INTO things VALUES ($1, 2)`:        "a\xffb", // no UTF-8
		`INSERT INTO things VALUES ('a', $1::int)`: 1 << 20,  // out of range
		`SELECT $1::text::timestamptz`:             "never",  // no time
	} {
		err := w.run(statement, value)
		require.Equal(t, fault.Permanent, fault.KindOf(err), "%s: %v", statement, err)
		require.Equal(t, "refused_by_database", fault.Reason(err))
		require.False(t, pgdb.IsUnavailable(err))
		require.NotNil(t, pgError(err), "the server's words are kept")
	}
}

func TestWhatMayPassIsTransient(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.run(insertSQL))
	for _, statement := range []string{
		insertSQL,               // somebody was faster: next time it is seen
		`SELECT * FROM nowhere`, // not migrated yet
		`SELECT pg_terminate_backend(pg_backend_pid())`, // the server is stopped
		`SET LOCAL statement_timeout = 1; SELECT pg_sleep(60)`,
	} {
		err := w.run(statement)
		require.Error(t, err, statement)
		require.Equal(t, fault.Transient, fault.KindOf(err), "%s: %v", statement, err)
	}
}

func TestACauseThatIsKnownKeepsItsReason(t *testing.T) {
	t.Parallel()
	w := setup(t)
	err := pgdb.InTx(t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO things VALUES ('a', 0)`)
		return fault.Wrap("contradicts_state", err)
	})
	require.Equal(t, "contradicts_state", fault.Reason(err))
}

func pgError(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	errors.As(err, &pg)
	return pg
}

func TestUnavailableMeansThatItWillPass(t *testing.T) {
	t.Parallel()
	w := setup(t)
	fails := func(sql string) error {
		w.t.Helper()
		_, err := w.pool.Exec(t.Context(), sql)
		require.Error(t, err, sql)
		return fmt.Errorf("wrapped: %w", err)
	}
	require.True(t, pgdb.IsUnavailable(fails(`SELECT pg_terminate_backend(pg_backend_pid())`)), "shutting down")
	require.True(t, pgdb.IsUnavailable(fails(`SET statement_timeout = 1; SELECT pg_sleep(60)`)), "too slow")
	require.False(t, pgdb.IsUnavailable(fails(`SELECT 1 +`)))
	require.False(t, pgdb.IsUnavailable(fails(`INSERT INTO things VALUES ('a', 0)`)))

	held, err := w.pool.Acquire(t.Context())
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.True(t, pgdb.IsUnavailable(w.pool.Ping(short)), "all connections are busy")
	held.Release()

	for _, begin := range faults {
		begin(w.proxy)
		w.proxy.Cut()
		err := w.open(pgdb.Config{URL: w.proxy.Through(w.admin)}).Ping(t.Context())
		require.Error(t, err)
		require.True(t, pgdb.IsUnavailable(err), "%v", err)
		w.proxy.Resume()
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, pgdb.IsUnavailable(w.pool.Ping(gone)), "we were told to stop")
	require.False(t, pgdb.IsUnavailable(nil))
	require.False(t, pgdb.IsUnavailable(errors.New("anything else")))
}

func TestTooManyConnectionsIsUnavailable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	role := "few_" + scan[string](t, w.pool, `SELECT current_database()`)
	_, err := w.pool.Exec(t.Context(), fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'x' CONNECTION LIMIT 0`, role))
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := w.pool.Exec(context.Background(), "DROP ROLE "+role)
		require.NoError(t, err)
	})
	cfg, err := pgx.ParseConfig(w.admin)
	require.NoError(t, err)
	cfg.User, cfg.Password = role, "x"
	_, err = pgx.ConnectConfig(t.Context(), cfg)
	require.Equal(t, "53300", pgError(err).Code)
	require.True(t, pgdb.IsUnavailable(err))
}

func TestUniqueViolationsAreToldApartByTheirConstraint(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.run(insertSQL))
	err := w.run(insertSQL)
	require.True(t, pgdb.IsUniqueViolation(err, ""))
	require.True(t, pgdb.IsUniqueViolation(err, "things_pkey"))
	require.False(t, pgdb.IsUniqueViolation(err, "thing_size_once"))
	require.False(t, pgdb.IsUniqueViolation(w.run(`INSERT INTO things VALUES ('b', 0)`), ""))
	require.False(t, pgdb.IsUniqueViolation(nil, ""))
}

// The answer to a COMMIT that was sent in time is waited for: a caller whose time is over hears what happened.
func TestTheAnswerToACommitIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const within, takes = 100 * time.Millisecond, "0.2"
	var err error
	for range 20 { // on a busy machine a try may be too late from the beginning, or for the answer
		ctx, cancel := context.WithTimeout(t.Context(), within)
		err = pgdb.InTx(ctx, w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
			batch := &pgx.Batch{}
			batch.Queue(`SELECT pg_sleep(` + takes + `)`)
			return tx.Finish(ctx, batch)
		})
		cancel()
		if err == nil {
			return
		}
		require.True(t, pgdb.IsUnavailable(err), "%v", err)
	}
	require.NoError(t, err)
}

// What is too late to be committed is not sent, so it is known that it did not happen.
func TestWhatIsTooLateIsNotCommitted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := pgdb.InTx(ctx, w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		cancel()
		batch := &pgx.Batch{}
		batch.Queue(insertSQL)
		return tx.Finish(ctx, batch)
	})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, pgdb.ErrCommitUnknown)
	require.Zero(t, scan[int](t, w.pool, countSQL))
}
