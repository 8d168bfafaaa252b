package pgdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrCommitUnknown is wrapped by InTx's error when the COMMIT was sent and not answered: the transaction may have happened.
var ErrCommitUnknown = errors.New("outcome of the commit is unknown")

const (
	// rollbackWithin bounds a rollback. Without an answer the connection is closed, and the server rolls back by itself.
	rollbackWithin = 2 * time.Second
	// commitPatience is the time that InTx waits for the answer to a COMMIT after the caller's time is over. Without the answer
	// the outcome is unknown, and on a busy machine it comes a moment later.
	commitPatience = 300 * time.Millisecond
)

// Tx is a transaction of InTx:
//
//	new --first statement--> begun --Finish, or fn returned nil--> ended (committed, or unknown)
//	                           `-- an error --> rolled back
//
// BEGIN travels with the first statement and, where Finish is used, COMMIT with the last. Neither then takes a round trip of
// its own, and locks are held for less time.
type Tx struct {
	conn  *pgxpool.Conn
	begun bool
	ended bool // committed, or unknown
}

// beginSQL names the isolation level that the use cases are written for: a database may have another default.
const beginSQL = "begin isolation level read committed"

// InTx runs fn in one READ COMMITTED transaction and commits when fn returns nil. When the database undoes the transaction
// for a reason that a repetition cures, InTx runs fn again, a few times: fn must set its results anew each time.
//
// A COMMIT without an answer returns an error that wraps ErrCommitUnknown. The rollback uses a context that is not cancelled.
// Data that the database can never store (a broken CHECK, a value out of range) is a permanent fault: a retry would hold up
// a partition for ever.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(ctx context.Context, tx *Tx) error) error {
	return Classify(Retry(ctx, func(ctx context.Context) error { return inTx(ctx, pool, fn) }))
}

func inTx(ctx context.Context, pool *pgxpool.Pool, fn func(ctx context.Context, tx *Tx) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{conn: conn}
	defer conn.Release() // closes the connection when a transaction is still open on it
	defer tx.rollback(ctx)
	if err := fn(ctx, tx); err != nil {
		return err
	}
	if tx.ended {
		return nil
	}
	return tx.Finish(ctx, &pgx.Batch{})
}

// rollback undoes a transaction that has begun and not ended. Its error does not matter: the caller has one already.
func (tx *Tx) rollback(ctx context.Context) {
	if !tx.begun || tx.ended {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWithin)
	defer cancel()
	_, _ = tx.conn.Exec(ctx, "rollback")
}

// begin begins the transaction for statements that are sent alone.
func (tx *Tx) begin(ctx context.Context) error {
	if tx.ended {
		return pgx.ErrTxClosed
	}
	if tx.begun {
		return nil
	}
	tx.begun = true
	if _, err := tx.conn.Exec(ctx, beginSQL); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return nil
}

// Exec implements Querier.
func (tx *Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := tx.begin(ctx); err != nil {
		return pgconn.CommandTag{}, err
	}
	return tx.conn.Exec(ctx, sql, args...)
}

// Query implements Querier.
func (tx *Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := tx.begin(ctx); err != nil {
		return nil, err
	}
	return tx.conn.Query(ctx, sql, args...)
}

// QueryRow implements Querier.
func (tx *Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := tx.begin(ctx); err != nil {
		return failedRow{err}
	}
	return tx.conn.QueryRow(ctx, sql, args...)
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// Send runs the queued statements in one round trip and passes each result to the function queued with it. It stops at the
// first error.
func (tx *Tx) Send(ctx context.Context, batch *pgx.Batch) error {
	if tx.ended {
		return pgx.ErrTxClosed
	}
	if batch.Len() == 0 {
		return nil
	}
	return tx.conn.SendBatch(ctx, tx.beginning(batch)).Close()
}

// Finish is Send with the COMMIT behind the last statement: only an error of the server stops the commit. After Finish the
// transaction has ended. Finish sends nothing when ctx has ended.
func (tx *Tx) Finish(ctx context.Context, batch *pgx.Batch) error {
	if tx.ended {
		return pgx.ErrTxClosed
	}
	if !tx.begun && batch.Len() == 0 {
		tx.ended = true
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: it is too late: %w", err)
	}
	ctx, cancel := patiently(ctx)
	defer cancel()
	last := tx.beginning(batch)
	committed := false
	last.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() == "ROLLBACK" { // a statement had failed before
			return fmt.Errorf("commit: %w", pgx.ErrTxCommitRollback)
		}
		committed = true
		return nil
	})
	tx.ended = true
	err := tx.conn.SendBatch(ctx, last).Close()
	var pg *pgconn.PgError
	switch {
	case committed:
		return nil
	case errors.As(err, &pg), pgconn.SafeToRetry(err):
		tx.ended = false // the server refused, or got nothing: the transaction is open, and is rolled back
		return err
	case errors.Is(err, pgx.ErrTxCommitRollback):
		return err
	default:
		return fmt.Errorf("commit: %w: %w", ErrCommitUnknown, err)
	}
}

// patiently returns a context that ends commitPatience after ctx.
func patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	longer := context.WithoutCancel(ctx)
	var cancel context.CancelFunc
	if deadline, ok := ctx.Deadline(); ok {
		longer, cancel = context.WithDeadline(longer, deadline.Add(commitPatience))
	} else {
		longer, cancel = context.WithCancel(longer)
	}
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			afterwards := time.AfterFunc(commitPatience, cancel)
			context.AfterFunc(longer, func() { afterwards.Stop() })
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// beginning returns the batch, with BEGIN in front of it if the transaction has not begun.
func (tx *Tx) beginning(batch *pgx.Batch) *pgx.Batch {
	all := &pgx.Batch{}
	if !tx.begun {
		tx.begun = true
		all.Queue(beginSQL)
	}
	all.QueuedQueries = append(all.QueuedQueries, batch.QueuedQueries...)
	return all
}
