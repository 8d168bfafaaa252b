package rebuild

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
)

const (
	// leaseFor is how long a rebuild that was killed keeps another one waiting.
	leaseFor = 10 * time.Second
	// renewEvery leaves room for a few renewals that fail.
	renewEvery = 2 * time.Second
	// livesFor is how long the row of a replica that died looks like one that lives. Replicas renew it twice a second.
	livesFor = 3 * time.Second
)

// BusyError says that another rebuild of the service runs.
type BusyError struct{ Holder string }

func (e *BusyError) Error() string { return "another rebuild runs, on " + e.Holder }

// AliveError says that a replica of the service runs.
type AliveError struct{ Replica string }

func (e *AliveError) Error() string { return "a replica runs: " + e.Replica }

// LostError says that the row of the lease is gone: a crash of the server emptied it together with the staging, or another
// rebuild took it over and has ended. What this rebuild staged may be gone, too.
type LostError struct{}

func (e *LostError) Error() string { return "the lease of the rebuild was lost" }

// Lease is the right to rebuild, which one process at a time has. It is a row, so nothing is kept in a session
// (docs/decisions/0018). The row is made once, by Take. A holder whose row is gone or another's has lost the lease, and never
// takes it again: the staging may be empty or another's. A holder that was frozen may still fold what it read before. The
// next holder then writes the same rows.
type Lease struct {
	pool   *pgxpool.Pool
	holder string
	end    context.CancelCauseFunc
	ended  chan struct{}
}

// takeSQL uses the database's clock. A replica's row counts while it is fresh.
const (
	takeSQL = `INSERT INTO rebuild_lease AS held (holder, until) VALUES ($1, clock_timestamp() + $2::interval)
ON CONFLICT (single) DO UPDATE SET holder = EXCLUDED.holder, until = EXCLUDED.until
WHERE held.holder = EXCLUDED.holder OR held.until <= clock_timestamp()`
	renewSQL = `UPDATE rebuild_lease SET until = clock_timestamp() + $2::interval WHERE holder = $1`
	lockSQL  = `SELECT FROM rebuild_lease WHERE holder = $1 FOR SHARE`
	heldSQL  = `SELECT coalesce((SELECT holder FROM rebuild_lease), ''), coalesce((SELECT until FROM rebuild_lease), '-infinity')::text`
	aliveSQL = `SELECT coalesce(min(name), '') FROM replicas WHERE renewed_at > clock_timestamp() - $1::interval`
	giveSQL  = `DELETE FROM rebuild_lease WHERE holder = $1`
)

// Take takes the lease and renews it until Give. The context that it returns ends when the lease is lost, or when a replica of
// the service appears; context.Cause says which. Take waits for the lease of a process that was killed, and returns a
// *BusyError for one that lives. It returns an *AliveError when a replica of the service lives.
func Take(ctx context.Context, pool *pgxpool.Pool) (*Lease, context.Context, error) {
	host, _ := os.Hostname()
	l := &Lease{pool: pool, holder: fmt.Sprintf("%s, process %d (%.6s)", host, os.Getpid(), rand.Text()), ended: make(chan struct{})}
	if err := l.nobody(ctx); err != nil {
		return nil, nil, err
	}
	if err := l.take(ctx); err != nil {
		return nil, nil, err
	}
	held, end := context.WithCancelCause(ctx)
	l.end = end
	go l.keep(held)
	return l, held, nil
}

// nobody looks twice: a replica that was killed a moment ago leaves a fresh row.
func (l *Lease) nobody(ctx context.Context) error {
	alive, err := l.alive(ctx)
	if err == nil && alive != "" {
		if !wait.Sleep(ctx, livesFor) {
			return ctx.Err()
		}
		alive, err = l.alive(ctx)
	}
	if err == nil && alive != "" {
		return &AliveError{alive}
	}
	return err
}

func (l *Lease) alive(ctx context.Context) (replica string, err error) {
	if err = l.pool.QueryRow(ctx, aliveSQL, livesFor).Scan(&replica); err != nil {
		return "", fmt.Errorf("look for replicas: %w", err)
	}
	return replica, nil
}

// take waits while the row stands still, because its holder may have been killed.
func (l *Lease) take(ctx context.Context) error {
	var first string
	for {
		tag, err := l.pool.Exec(ctx, takeSQL, l.holder, leaseFor)
		if err != nil {
			return fmt.Errorf("take the lease of the rebuild: %w", err)
		}
		if tag.RowsAffected() == 1 {
			return nil
		}
		var holder, until string
		if err := l.pool.QueryRow(ctx, heldSQL).Scan(&holder, &until); err != nil {
			return fmt.Errorf("take the lease of the rebuild: %w", err)
		}
		if first == "" {
			first = until
		}
		if until != first && holder != "" {
			return &BusyError{holder}
		}
		if !wait.Sleep(ctx, renewEvery/4) {
			return ctx.Err()
		}
	}
}

// Renew makes the lease last longer. It returns a *LostError or a *BusyError when the lease is lost.
func (l *Lease) Renew(ctx context.Context) error {
	tag, err := pgdb.Exec(ctx, l.pool, renewSQL, l.holder, leaseFor)
	if err != nil {
		return fmt.Errorf("renew the lease of the rebuild: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	var holder, until string
	if err := l.pool.QueryRow(ctx, heldSQL).Scan(&holder, &until); err == nil && holder != "" {
		return &BusyError{holder}
	}
	return &LostError{}
}

// lock makes the transaction keep the lease to its end, or returns a *LostError.
func (l *Lease) lock(ctx context.Context, tx pgx.Tx) error {
	tag, err := tx.Exec(ctx, lockSQL, l.holder)
	if err == nil && tag.RowsAffected() == 0 {
		return &LostError{}
	}
	return err
}

// keep renews until the context ends. A database that does not answer for as long as the lease lasts ends it.
func (l *Lease) keep(ctx context.Context) {
	defer close(l.ended)
	renewed := time.Now()
	for wait.Sleep(ctx, renewEvery) {
		try, cancel := context.WithTimeout(ctx, renewEvery)
		err := l.Renew(try)
		alive := ""
		if err == nil {
			alive, err = l.alive(try)
		}
		cancel()
		var busy *BusyError
		var lost *LostError
		switch {
		case err == nil && alive != "":
			l.end(&AliveError{alive})
		case errors.As(err, &busy), errors.As(err, &lost):
			l.end(err)
		case err == nil:
			renewed = time.Now()
		case time.Since(renewed) > leaseFor:
			l.end(fmt.Errorf("the lease of the rebuild was lost: %w", err))
		}
	}
}

// Give ends the lease and the context of Take. Without the database the lease ends by itself.
func (l *Lease) Give() {
	l.end(context.Canceled)
	<-l.ended
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = l.pool.Exec(ctx, giveSQL, l.holder)
}
