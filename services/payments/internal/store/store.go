// Package store stores payments in Postgres. It has the only SQL of the service but that of the simulated provider, and
// decides nothing.
//
// An order has one row, made once. Only one change of a row is possible, so results of a repetition stay the same:
//
//	no row --Open--> captured --Refund--> refunded
//	   |        `--> failed
//	   +--Refund--> voided (a tombstone: the order is never charged)
//
// Rebuild alone writes rows otherwise: as the topics tell them, while the service stands still.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
)

// Store is app.Store over Postgres. Safe for concurrent use.
type Store struct{ pool *pgxpool.Pool }

// New returns a store over the pool's schema.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

const columns = `order_id, user_id, amount_minor, currency, payment_method, status, reason, payment_id, outside, created_at, updated_at`

// scan reads a row of columns, in their order.
func scan(row pgx.CollectableRow) (domain.Payment, error) {
	var p domain.Payment
	err := row.Scan(&p.OrderID, &p.UserID, &p.Amount.Minor, &p.Amount.Currency, &p.Method, &p.Status, &p.Reason,
		&p.PaymentID, &p.Outside, &p.CreatedAt, &p.UpdatedAt)
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, err
}

// Payments implements app.Store. It locks nothing: a payment may be made right after, and Open then reports it.
func (s *Store) Payments(ctx context.Context, orderIDs []string) (map[string]domain.Payment, error) {
	return payments(ctx, s.pool, orderIDs)
}

// One statement, so that one moment shows the rows and the tombstones of removed ones. The tombstones are looked up one by one: a
// join that was planned while there were few of them would read all of them.
const paymentsSQL = `SELECT ` + columns + ` FROM payments WHERE order_id = ANY($1)
UNION ALL
SELECT asked.order_id, '', 0, '', '', CASE WHEN r.captured THEN 'removed_captured' ELSE 'removed' END, '', '', false, now(), now()
FROM unnest($1::text[], $2::uuid[]) AS asked (order_id, id)
CROSS JOIN LATERAL (SELECT captured FROM removed_payments WHERE id = asked.id LIMIT 1) AS r`

func payments(ctx context.Context, q pgdb.Querier, orderIDs []string) (map[string]domain.Payment, error) {
	found, err := pgdb.Collect(ctx, q, scan, paymentsSQL, orderIDs, retention.IDs(orderIDs))
	if err != nil {
		return nil, fmt.Errorf("read payments: %w", err)
	}
	byOrder := make(map[string]domain.Payment, len(found))
	for _, p := range found {
		byOrder[p.OrderID] = p
	}
	return byOrder, nil
}

// Open implements app.Store. The insert is one statement, so it is a transaction of its own: rows that are read afterwards
// were committed by another replica. An error may come after the insert was committed. A repetition then finds the rows, and
// reports them as made before.
func (s *Store) Open(ctx context.Context, opened []domain.Payment) (map[string]app.Kept, error) {
	kept := make(map[string]app.Kept, len(opened))
	if err := open(ctx, s.pool, opened, kept); err != nil {
		return nil, pgdb.Classify(err)
	}
	return kept, nil
}

// Rows are inserted in the order of their key. So two batches with the same orders cannot wait for each other in a circle. An
// insert that meets one not committed yet waits for it.
const openSQL = `
INSERT INTO payments (` + columns + `)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::boolean[], $10::timestamptz[], $11::timestamptz[]) AS new (` + columns + `)
ORDER BY new.order_id
ON CONFLICT (order_id) DO NOTHING
RETURNING order_id`

// open inserts the payments of orders that have none, and adds the payment of each order to kept.
func open(ctx context.Context, q pgdb.Querier, opened []domain.Payment, kept map[string]app.Kept) error {
	if len(opened) == 0 {
		return nil
	}
	inserted, err := pgdb.Collect(ctx, q, pgx.RowTo[string], openSQL, arrays(opened)...)
	if err != nil {
		return fmt.Errorf("keep payments: %w", err)
	}
	return rest(ctx, q, opened, inserted, kept)
}

// rest notes the payments that this call wrote, and reads those of the other orders, which another replica wrote.
func rest(ctx context.Context, q pgdb.Querier, wanted []domain.Payment, written []string, kept map[string]app.Kept) error {
	mine := make(map[string]bool, len(written))
	for _, id := range written {
		mine[id] = true
	}
	var others []string
	for _, p := range wanted {
		if mine[p.OrderID] {
			kept[p.OrderID] = app.Kept{Payment: p, Now: true}
		} else {
			others = append(others, p.OrderID)
		}
	}
	if len(others) == 0 {
		return nil
	}
	found, err := payments(ctx, q, others)
	if err != nil {
		return err
	}
	for id, p := range found {
		kept[id] = app.Kept{Payment: p}
	}
	return nil
}

// arrays returns the arguments of openSQL, one array for each of columns.
func arrays(ps []domain.Payment) []any {
	return []any{
		pgdb.Column(ps, orderID),
		pgdb.Column(ps, func(p domain.Payment) string { return p.UserID }),
		pgdb.Column(ps, func(p domain.Payment) int64 { return p.Amount.Minor }),
		pgdb.Column(ps, func(p domain.Payment) string { return p.Amount.Currency }),
		pgdb.Column(ps, func(p domain.Payment) string { return p.Method }),
		pgdb.Column(ps, func(p domain.Payment) string { return string(p.Status) }),
		pgdb.Column(ps, reason),
		pgdb.Column(ps, func(p domain.Payment) string { return p.PaymentID }),
		pgdb.Column(ps, func(p domain.Payment) bool { return p.Outside }),
		pgdb.Column(ps, func(p domain.Payment) time.Time { return p.CreatedAt }),
		pgdb.Column(ps, updatedAt),
	}
}

func orderID(p domain.Payment) string      { return p.OrderID }
func reason(p domain.Payment) string       { return p.Reason }
func updatedAt(p domain.Payment) time.Time { return p.UpdatedAt }

// Refund implements app.Store. One transaction does both, so a failure leaves no part of the batch done. A payment that is not
// captured stays as it is, and the result has it with Now false.
func (s *Store) Refund(ctx context.Context, refunded, tombstones []domain.Payment) (map[string]app.Kept, error) {
	kept := make(map[string]app.Kept, len(refunded)+len(tombstones))
	err := pgdb.InTx(ctx, s.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		clear(kept) // of a try before
		if err := refund(ctx, tx, refunded, kept); err != nil {
			return err
		}
		return open(ctx, tx, tombstones, kept)
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// Rows are locked in the order of their key, then changed: an UPDATE alone would lock them in the order it meets them.
const lockSQL = `SELECT FROM payments WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE`

const refundSQL = `
UPDATE payments p SET status = 'refunded', reason = r.reason, updated_at = r.updated_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS r (order_id, reason, updated_at)
WHERE p.order_id = r.order_id AND p.status = 'captured'
RETURNING p.order_id`

// refund changes captured payments, and adds the payment of each order to kept. The expected status is in the WHERE clause, so
// a repeated refund changes nothing.
func refund(ctx context.Context, tx *pgdb.Tx, refunded []domain.Payment, kept map[string]app.Kept) error {
	if len(refunded) == 0 {
		return nil
	}
	orders := pgdb.Column(refunded, orderID)
	if _, err := tx.Exec(ctx, lockSQL, orders); err != nil {
		return fmt.Errorf("lock payments: %w", err)
	}
	changed, err := pgdb.Collect(ctx, tx, pgx.RowTo[string], refundSQL, orders, pgdb.Column(refunded, reason), pgdb.Column(refunded, updatedAt))
	if err != nil {
		return fmt.Errorf("refund payments: %w", err)
	}
	return rest(ctx, tx, refunded, changed, kept)
}

// A payment of another user is not found. Which statement runs depends on the caller alone, so such a payment costs as much as one
// that does not exist.
const (
	paymentSQL   = `SELECT ` + columns + ` FROM payments WHERE order_id = $1`
	paymentOfSQL = paymentSQL + ` AND user_id = nullif($2, '')`
)

// Payment implements app.Store.
func (s *Store) Payment(ctx context.Context, orderID string, only *string) (domain.Payment, error) {
	sql, args := paymentSQL, []any{orderID}
	if only != nil {
		sql, args = paymentOfSQL, append(args, *only)
	}
	p, err := pgdb.CollectOne(ctx, s.pool, scan, sql, args...)
	if errors.Is(err, pgx.ErrNoRows) {
		return domain.Payment{}, app.ErrNotFound
	}
	if err != nil {
		return domain.Payment{}, fmt.Errorf("read the payment of order %s: %w", orderID, err)
	}
	return p, nil
}

// Two statements, because each has an index of its own.
const (
	listSQL = `SELECT ` + columns + ` FROM payments WHERE (created_at, order_id) < ($1, $2)
ORDER BY created_at DESC, order_id DESC LIMIT $3`
	listOfUserSQL = `SELECT ` + columns + ` FROM payments WHERE (created_at, order_id) < ($1, $2) AND user_id = $4
ORDER BY created_at DESC, order_id DESC LIMIT $3`
)

// List implements app.Store. Without a position the list begins at infinity, which is after every row.
func (s *Store) List(ctx context.Context, q app.Query) ([]domain.Payment, error) {
	before := pgtype.Timestamptz{Time: q.After.CreatedAt, Valid: true}
	if q.After.CreatedAt.IsZero() {
		before = pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	}
	sql, args := listSQL, []any{before, q.After.OrderID, q.Limit}
	if q.UserID != "" {
		sql, args = listOfUserSQL, append(args, q.UserID)
	}
	items, err := pgdb.Collect(ctx, s.pool, scan, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list payments: %w", err)
	}
	return items, nil
}
