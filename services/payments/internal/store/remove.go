package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
)

// EndingPayments returns payments as rows that end. A payment stays while its last change is younger than keep, and while a dead
// letter of its order is not handled. A removed payment leaves a tombstone.
func EndingPayments(keep time.Duration) retention.Kind {
	return retention.Kind{Name: "payments", Keep: keep, Sweep: removePayments,
		OldestSQL: `SELECT created_at FROM payments ORDER BY created_at, order_id LIMIT 1`}
}

// The index payments_newest, which the lists use, leads to the oldest payments. A payment that a transaction has locked is
// skipped.
const oldPaymentsSQL = `SELECT order_id, created_at FROM payments
WHERE (created_at, order_id) > ($1, $2) AND created_at < $3 AND updated_at < $3
ORDER BY created_at, order_id LIMIT $4 FOR UPDATE SKIP LOCKED`

// The key of a record is the id of its order.
const removePaymentsSQL = `WITH gone AS (
  DELETE FROM payments p USING unnest($1::text[], $2::uuid[], $3::bytea[]) AS old (order_id, id, key)
  WHERE p.order_id = old.order_id
    AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.state IN ('parked', 'replaying') AND d.key = old.key)
  RETURNING old.id, p.status
)
INSERT INTO removed_payments (id, captured) SELECT id, status = 'captured' FROM gone`

func removePayments(ctx context.Context, tx *pgdb.Tx, slice retention.Slice) (swept retention.Swept, err error) {
	var ids []string
	_, err = pgdb.Collect(ctx, tx, func(row pgx.CollectableRow) (_ struct{}, err error) {
		err = row.Scan(&swept.Last.Key, &swept.Last.At)
		ids = append(ids, swept.Last.Key)
		return struct{}{}, err
	}, oldPaymentsSQL, slice.After.At, slice.After.Key, slice.Before, slice.Limit)
	if err == nil && len(ids) > 0 {
		tag, failed := tx.Exec(ctx, removePaymentsSQL, ids, retention.IDs(ids), pgdb.Column(ids, func(id string) []byte { return []byte(id) }))
		swept.Removed, err = int(tag.RowsAffected()), failed
	}
	if err != nil {
		return swept, fmt.Errorf("remove old payments: %w", err)
	}
	swept.More = len(ids) == slice.Limit
	return swept, nil
}
