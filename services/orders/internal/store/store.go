// Package store stores orders in Postgres. It has the only SQL of the service, and decides nothing.
//
// A use case runs in one transaction: it locks its orders and products, decides in memory, and saves everything at the end. A
// batch of messages shares the transaction, so each step is a round trip or two for the whole batch:
//
//	LockOrders --> LockProducts --> decide (package domain) --> Save: rows, timeline, outbox, COMMIT
//	                                                              |
//	                                          after the commit: the relay gets the outbox rows
//
// The isolation is READ COMMITTED. Locks and the versions in the WHERE clauses make it safe, not the isolation level.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/app"
)

// Relay publishes outbox rows after their commit. outbox.Relay is one.
type Relay interface {
	// Enqueue only shortens the way: the relay also finds committed rows in the table.
	Enqueue(rows ...outbox.Row)
	// Stuck returns the time of the oldest row while publishing fails, zero otherwise.
	Stuck(ctx context.Context) (time.Time, error)
}

// Store implements app.Store. It is safe for concurrent use; a transaction is not.
type Store struct {
	pool    *pgxpool.Pool
	relay   Relay
	letters *deadletter.Store
}

// New returns a store over the pool's schema. relay gets the outbox rows that the store commits, and letters the dead letters.
func New(pool *pgxpool.Pool, relay Relay, letters *deadletter.Store) *Store {
	return &Store{pool: pool, relay: relay, letters: letters}
}

// InTx implements app.Store. The relay does not get the outbox rows of a commit without an answer: if they exist, it finds them
// in the table. That error wraps app.ErrUnknown. Each run of fn gets a new transaction, so results of a run that was undone
// are lost, as they must be.
func (s *Store) InTx(ctx context.Context, fn func(ctx context.Context, tx app.Tx) error) error {
	var t *transaction
	err := pgdb.InTx(ctx, s.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		t = &transaction{tx: tx, letters: s.letters}
		return fn(ctx, t)
	})
	if errors.Is(err, pgdb.ErrCommitUnknown) {
		return fmt.Errorf("%w: %w", app.ErrUnknown, err)
	}
	if err != nil {
		return err
	}
	for _, reason := range t.parked {
		s.letters.Count(reason)
	}
	if len(t.rows) > 0 {
		s.relay.Enqueue(t.rows...)
	}
	return nil
}

// transaction implements app.Tx.
type transaction struct {
	tx       *pgdb.Tx
	rows     []outbox.Row // for the relay, after the commit
	letters  *deadletter.Store
	parked   []string          // reasons of the letters that were added, to count after the commit
	versions map[string]int64  // of the products that were read, by sku
	removed  map[[16]byte]bool // tombstones of orders that LockOrders did not find
}

// OutboxStuck implements app.Store.
func (s *Store) OutboxStuck(ctx context.Context) (time.Time, error) { return s.relay.Stuck(ctx) }

// notFound turns pgx's error for no row into the app's.
func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return app.ErrNotFound
	}
	return err
}
