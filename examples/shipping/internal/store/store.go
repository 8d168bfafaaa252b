// Package store keeps shipments in Postgres. It is the only place with SQL about them, and decides nothing.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/examples/shipping/internal/app"
	"pasdetrois/examples/shipping/internal/domain"
	"pasdetrois/pkg/platform/pgdb"
)

// Store is app.Store over Postgres.
type Store struct{ pool *pgxpool.Pool }

// New returns a store over the pool's schema.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// Rows are inserted in the order of their key, so that two batches with the same orders do not deadlock.
const packSQL = `
INSERT INTO shipments (order_id, user_id, status, created_at, updated_at)
SELECT DISTINCT ON (order_id) order_id, user_id, 'packing', at, at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS new (order_id, user_id, at)
ORDER BY order_id
ON CONFLICT (order_id) DO NOTHING`

const statusesSQL = `SELECT order_id, status FROM shipments WHERE order_id = ANY($1)`

// Pack implements app.Store. The statuses are read after the insert, so they include rows of other replicas.
func (s *Store) Pack(ctx context.Context, shipments []domain.Shipment) (map[string]domain.Status, error) {
	orders, users, times := columns(shipments)
	if _, err := s.pool.Exec(ctx, packSQL, orders, users, times); err != nil {
		return nil, pgdb.Classify(fmt.Errorf("keep shipments: %w", err))
	}
	rows, err := s.pool.Query(ctx, statusesSQL, orders)
	if err != nil {
		return nil, fmt.Errorf("read the statuses of shipments: %w", err)
	}
	statuses := make(map[string]domain.Status, len(orders))
	var order string
	var status domain.Status
	_, err = pgx.ForEachRow(rows, []any{&order, &status}, func() error {
		statuses[order] = status
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the statuses of shipments: %w", err)
	}
	return statuses, nil
}

// stopSQL has the transitions of domain.Status.Stop. A repeated order_cancelled changes nothing.
const stopSQL = `
INSERT INTO shipments AS s (order_id, user_id, status, created_at, updated_at)
SELECT DISTINCT ON (order_id) order_id, user_id, 'stopped', at, at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS new (order_id, user_id, at)
ORDER BY order_id
ON CONFLICT (order_id) DO UPDATE
SET status = CASE s.status WHEN 'packing' THEN 'stopped' ELSE 'returning' END, updated_at = excluded.updated_at
WHERE s.status IN ('packing', 'shipped')`

// Stop implements app.Store.
func (s *Store) Stop(ctx context.Context, shipments []domain.Shipment) error {
	orders, users, times := columns(shipments)
	if _, err := s.pool.Exec(ctx, stopSQL, orders, users, times); err != nil {
		return pgdb.Classify(fmt.Errorf("stop shipments: %w", err))
	}
	return nil
}

// Replicas take different rows. A row that another transaction stops meanwhile is skipped.
const shipDueSQL = `
UPDATE shipments SET status = 'shipped', updated_at = $2
WHERE status = 'packing' AND order_id IN (
  SELECT order_id FROM shipments WHERE status = 'packing' AND created_at <= $1
  ORDER BY created_at LIMIT $3 FOR UPDATE SKIP LOCKED)`

// ShipDue implements app.Store.
func (s *Store) ShipDue(ctx context.Context, before, now time.Time, limit int) (int, error) {
	done, err := s.pool.Exec(ctx, shipDueSQL, before, now, limit)
	if err != nil {
		return 0, fmt.Errorf("ship what is packed: %w", err)
	}
	return int(done.RowsAffected()), nil
}

const (
	shipmentSQL   = `SELECT order_id, user_id, status, created_at, updated_at FROM shipments WHERE order_id = $1`
	shipmentOfSQL = shipmentSQL + ` AND user_id = nullif($2, '')`
)

// Shipment implements app.Store.
func (s *Store) Shipment(ctx context.Context, orderID string, only *string) (domain.Shipment, error) {
	sql, args := shipmentSQL, []any{orderID}
	if only != nil {
		sql, args = shipmentOfSQL, append(args, *only)
	}
	var found domain.Shipment
	err := s.pool.QueryRow(ctx, sql, args...).
		Scan(&found.OrderID, &found.UserID, &found.Status, &found.CreatedAt, &found.UpdatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return found, app.ErrNotFound
	}
	if err != nil {
		return found, fmt.Errorf("read the shipment of order %s: %w", orderID, err)
	}
	return found, nil
}

func columns(shipments []domain.Shipment) (orders, users []string, times []time.Time) {
	for _, s := range shipments {
		orders, users, times = append(orders, s.OrderID), append(users, s.UserID), append(times, s.CreatedAt)
	}
	return orders, users, times
}
