package simulated

import (
	"context"
	"fmt"
	"slices"
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
	removedSQL       = `SELECT id FROM removed_payments WHERE id = ANY($1::uuid[])`
	removeEntriesSQL = `DELETE FROM provider_ledger WHERE idempotency_key = ANY($1)`
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
	if err == nil {
		keys, err = ofRemoved(ctx, tx, keys)
	}
	if err == nil && len(keys) > 0 {
		_, err = tx.Exec(ctx, removeEntriesSQL, keys)
	}
	if err != nil {
		return swept, fmt.Errorf("remove old entries of the simulated provider's ledger: %w", err)
	}
	swept.Removed, swept.More = len(keys), looked == slice.Limit
	return swept, nil
}

// ofRemoved returns the keys of charges whose payments are removed. The key of a charge is the id of its order.
func ofRemoved(ctx context.Context, tx *pgdb.Tx, keys []string) ([]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	found, err := pgdb.Collect(ctx, tx, pgx.RowTo[[16]byte], removedSQL, retention.IDs(keys))
	return slices.DeleteFunc(keys, func(key string) bool { return !slices.Contains(found, retention.ID(key)) }), err
}
