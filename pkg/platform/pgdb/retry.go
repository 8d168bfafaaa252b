package pgdb

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pasdetrois/pkg/platform/wait"
)

const (
	// tries bounds the runs of a statement or a transaction. All pauses together take less than 0.2 s: a request that waits is
	// answered within 2 s.
	tries      = 5
	firstPause = 5 * time.Millisecond
)

// Retry runs op again while the database undoes it for a reason that a repetition cures: a conflict with another
// transaction, or a migration that changed a statement. It ends after a few tries, or with ctx. Op must set its results anew
// each time.
func Retry(ctx context.Context, op func(ctx context.Context) error) error {
	for try := 1; ; try++ {
		err := op(ctx)
		if err == nil || try == tries || OutcomeOf(err) != Again {
			return err
		}
		// The random part keeps two transactions that were in conflict from a second conflict.
		if !wait.Sleep(ctx, firstPause<<(try-1)+rand.N(firstPause<<(try-1))) {
			return err
		}
	}
}

// alone runs op with Retry when q runs each statement in a transaction of its own. Inside a transaction a statement cannot be
// repeated: the server has undone the whole transaction, and InTx repeats it.
func alone(ctx context.Context, q Querier, op func(ctx context.Context) error) error {
	if _, inside := q.(*Tx); inside {
		return op(ctx)
	}
	return Retry(ctx, op)
}

// Exec runs one statement, and again as Retry does.
func Exec(ctx context.Context, q Querier, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	err = alone(ctx, q, func(ctx context.Context) (err error) {
		tag, err = q.Exec(ctx, sql, args...)
		return err
	})
	return tag, err
}

// Collect runs one statement, and again as Retry does, and returns its rows.
func Collect[T any](ctx context.Context, q Querier, scan pgx.RowToFunc[T], sql string, args ...any) (found []T, err error) {
	err = alone(ctx, q, func(ctx context.Context) error {
		rows, err := q.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, scan)
		return err
	})
	return found, err
}

// CollectOne runs one statement, and again as Retry does, and returns its only row, or pgx.ErrNoRows or ErrTooManyRows.
func CollectOne[T any](ctx context.Context, q Querier, scan pgx.RowToFunc[T], sql string, args ...any) (found T, err error) {
	err = alone(ctx, q, func(ctx context.Context) error {
		rows, err := q.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectExactlyOneRow(rows, scan)
		return err
	})
	return found, err
}
