package store

import (
	"context"
	"fmt"
	"slices"
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
const stillParkedSQL = `SELECT key FROM dead_letters WHERE state IN ('parked', 'replaying') AND key = ANY($1)`

const (
	removePaymentsSQL = `DELETE FROM payments WHERE order_id = ANY($1) RETURNING order_id, status = 'captured'`
	entombSQL         = `INSERT INTO removed_payments (id, captured) SELECT * FROM unnest($1::uuid[], $2::boolean[]) ON CONFLICT DO NOTHING`
)

func removePayments(ctx context.Context, tx *pgdb.Tx, slice retention.Slice) (swept retention.Swept, err error) {
	var ids []string
	_, err = pgdb.Collect(ctx, tx, func(row pgx.CollectableRow) (_ struct{}, err error) {
		err = row.Scan(&swept.Last.Key, &swept.Last.At)
		ids = append(ids, swept.Last.Key)
		return struct{}{}, err
	}, oldPaymentsSQL, slice.After.At, slice.After.Key, slice.Before, slice.Limit)
	if err == nil && len(ids) > 0 {
		swept.Removed, err = entomb(ctx, tx, ids)
	}
	if err != nil {
		return swept, fmt.Errorf("remove old payments: %w", err)
	}
	swept.More = len(ids) == slice.Limit
	return swept, nil
}

// entomb removes those of the payments of whose orders no dead letter waits, and returns their number.
func entomb(ctx context.Context, tx *pgdb.Tx, ids []string) (int, error) {
	parked, err := pgdb.Collect(ctx, tx, pgx.RowTo[[]byte], stillParkedSQL, pgdb.Column(ids, func(id string) []byte { return []byte(id) }))
	if err != nil {
		return 0, err
	}
	busy := make(map[string]bool, len(parked))
	for _, key := range parked {
		busy[string(key)] = true
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return busy[id] })
	var removed []string
	captured, err := pgdb.Collect(ctx, tx, func(row pgx.CollectableRow) (captured bool, err error) {
		var id string
		err = row.Scan(&id, &captured)
		removed = append(removed, id)
		return captured, err
	}, removePaymentsSQL, ids)
	if err != nil || len(removed) == 0 {
		return 0, err
	}
	_, err = tx.Exec(ctx, entombSQL, retention.IDs(removed), captured)
	return len(removed), err
}
