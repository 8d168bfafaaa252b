package simulated

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
)

// Ending returns the entries of the ledger as rows that end. An entry goes when retention has removed its payment: until then
// it proves what the payment says. The service never charges for an order with a removed payment, so the key is not used again.
func Ending(keep time.Duration) retention.Kind {
	return retention.Kind{Name: "provider_ledger", Keep: keep, Sweep: removeEntries}
}

// The entries are read in the order of their keys, by the index that keeps the keys apart. A pass reads all of them, once a day;
// an index on the time would cost each charge.
const (
	nextEntriesSQL = `SELECT idempotency_key, greatest(created_at, refunded_at) < $3 FROM provider_ledger
WHERE idempotency_key > $1 ORDER BY idempotency_key LIMIT $2`
	removeEntriesSQL = `DELETE FROM provider_ledger USING unnest($1::text[], $2::uuid[]) AS old (key, id)
WHERE idempotency_key = old.key AND EXISTS (SELECT FROM removed_payments r WHERE r.id = old.id)`
)

func removeEntries(ctx context.Context, tx *pgdb.Tx, slice retention.Slice) (swept retention.Swept, err error) {
	looked := 0
	var keys []string
	_, err = pgdb.Collect(ctx, tx, func(row pgx.CollectableRow) (_ struct{}, err error) {
		var old bool
		err = row.Scan(&swept.Last.Key, &old)
		if looked++; old {
			keys = append(keys, swept.Last.Key)
		}
		return struct{}{}, err
	}, nextEntriesSQL, slice.After.Key, slice.Limit, slice.Before)
	if err == nil && len(keys) > 0 {
		tag, failed := tx.Exec(ctx, removeEntriesSQL, keys, retention.IDs(keys))
		swept.Removed, err = int(tag.RowsAffected()), failed
	}
	if err != nil {
		return swept, fmt.Errorf("remove old entries of the simulated provider's ledger: %w", err)
	}
	swept.More = looked == slice.Limit
	return swept, nil
}
