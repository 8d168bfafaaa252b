package store

import (
	"context"
	"fmt"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/payments/internal/domain"
)

// Rebuild makes rows again, in one transaction. It reads the payments of the orders, by order id, and stores those that fold
// returns over them. Without write it reads only. Fold runs again when the database undoes the transaction.
func (s *Store) Rebuild(ctx context.Context, orderIDs []string, write bool,
	fold func(ctx context.Context, q pgdb.Querier, rows map[string]domain.Payment) ([]domain.Payment, error)) error {
	return pgdb.InTx(ctx, s.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		if write {
			if _, err := tx.Exec(ctx, lockSQL, orderIDs); err != nil {
				return fmt.Errorf("lock payments: %w", err)
			}
		}
		rows, err := payments(ctx, tx, orderIDs)
		if err != nil {
			return err
		}
		changed, err := fold(ctx, tx, rows)
		if err != nil || !write || len(changed) == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, replaceSQL, arrays(changed)...); err != nil {
			return fmt.Errorf("store payments that were made again: %w", err)
		}
		return nil
	})
}

const replaceSQL = `
INSERT INTO payments (` + columns + `)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::boolean[], $10::timestamptz[], $11::timestamptz[]) AS new (` + columns + `)
ORDER BY new.order_id
ON CONFLICT (order_id) DO UPDATE SET (` + columns + `) = (excluded.order_id, excluded.user_id, excluded.amount_minor, excluded.currency,
  excluded.payment_method, excluded.status, excluded.reason, excluded.payment_id, excluded.outside, excluded.created_at, excluded.updated_at)`
