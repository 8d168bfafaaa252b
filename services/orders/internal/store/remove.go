package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
)

// EndingOrders returns settled orders, with their lines and timelines, as rows that end. An order stays while its last change is
// younger than keep, while the outbox or the held messages have a message of it, and while a dead letter of it is not handled.
// A removed order leaves a tombstone and the pieces that it sold.
func EndingOrders(keep time.Duration) retention.Kind {
	return retention.Kind{Name: "orders", Keep: keep, Sweep: removeOrders,
		OldestSQL: `SELECT created_at FROM orders ORDER BY created_at, order_id LIMIT 1`}
}

// The index orders_newest, which the lists use, leads to the oldest orders. An order that a transaction has locked is skipped.
const oldOrdersSQL = `SELECT order_id, created_at FROM orders
WHERE (created_at, order_id) > ($1, $2) AND created_at < $3 AND updated_at < $3 AND due_at IS NULL AND status = ANY($4)
ORDER BY created_at, order_id LIMIT $5 FOR UPDATE SKIP LOCKED`

// The key of a record is the id of its order.
const (
	stillSentSQL   = `SELECT key FROM outbox WHERE key = ANY($1)`
	stillParkedSQL = `SELECT key FROM dead_letters WHERE state IN ('parked', 'replaying') AND key = ANY($1)`
	stillHeldSQL   = `SELECT convert_to(order_id, 'UTF8') FROM held_messages WHERE order_id = ANY($1)`
)

// Only a confirmed order has sold pieces once it is settled.
const removeLinesSQL = `WITH gone AS (DELETE FROM order_lines WHERE order_id = ANY($1) RETURNING order_id, sku, quantity)
INSERT INTO removed_pieces AS p (sku, sold)
SELECT g.sku, sum(g.quantity) FROM gone g CROSS JOIN LATERAL (SELECT stock FROM orders o WHERE o.order_id = g.order_id LIMIT 1) AS o
WHERE o.stock = 'sold' GROUP BY g.sku ORDER BY g.sku
ON CONFLICT (sku) DO UPDATE SET sold = p.sold + excluded.sold`

const (
	removeEventsSQL = `DELETE FROM order_events WHERE order_id = ANY($1)`
	removeOrdersSQL = `DELETE FROM orders WHERE order_id = ANY($1)`
	entombSQL       = `INSERT INTO removed_orders (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING`
)

func removeOrders(ctx context.Context, tx *pgdb.Tx, slice retention.Slice) (swept retention.Swept, err error) {
	var ids []string
	_, err = pgdb.Collect(ctx, tx, func(row pgx.CollectableRow) (_ struct{}, err error) {
		err = row.Scan(&swept.Last.Key, &swept.Last.At)
		ids = append(ids, swept.Last.Key)
		return struct{}{}, err
	}, oldOrdersSQL, slice.After.At, slice.After.Key, slice.Before, messages.SettledStatuses(), slice.Limit)
	if err != nil {
		return swept, fmt.Errorf("find old orders: %w", err)
	}
	swept.More = len(ids) == slice.Limit
	if ids, err = atRest(ctx, tx, ids); err != nil || len(ids) == 0 {
		return swept, err
	}
	var batch pgx.Batch
	batch.Queue(removeEventsSQL, ids)
	batch.Queue(removeLinesSQL, ids)
	batch.Queue(removeOrdersSQL, ids)
	batch.Queue(entombSQL, retention.IDs(ids))
	if err := tx.Send(ctx, &batch); err != nil {
		return swept, fmt.Errorf("remove old orders: %w", err)
	}
	swept.Removed = len(ids)
	return swept, nil
}

// atRest returns those of the orders about which no message waits.
func atRest(ctx context.Context, tx *pgdb.Tx, ids []string) (rest []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	busy := make(map[string]bool)
	note := func(rows pgx.Rows) error {
		var key []byte
		_, err := pgx.ForEachRow(rows, []any{&key}, func() error {
			busy[string(key)] = true
			return nil
		})
		return err
	}
	keys := pgdb.Column(ids, func(id string) []byte { return []byte(id) })
	var batch pgx.Batch
	batch.Queue(stillSentSQL, keys).Query(note)
	batch.Queue(stillParkedSQL, keys).Query(note)
	batch.Queue(stillHeldSQL, ids).Query(note)
	if err := tx.Send(ctx, &batch); err != nil {
		return nil, fmt.Errorf("find messages of old orders: %w", err)
	}
	for _, id := range ids {
		if !busy[id] {
			rest = append(rest, id)
		}
	}
	return rest, nil
}

const removedSQL = `SELECT id FROM removed_orders WHERE id = ANY($1::uuid[])`

// Removed implements app.Tx. LockOrders has read the tombstones after the rows, so an order that is being removed is found in
// one of them.
func (t *transaction) Removed(id string) bool { return t.removed[retention.ID(id)] }

// queueRemoved queues the read of the tombstones of orders.
func queueRemoved(batch *pgx.Batch, ids []string, found map[[16]byte]bool) {
	batch.Queue(removedSQL, retention.IDs(ids)).Query(func(rows pgx.Rows) error {
		var id [16]byte
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			found[id] = true
			return nil
		})
		return err
	})
}
