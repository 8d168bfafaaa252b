package simulated

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/pgdb"
)

const eraseSQL = `UPDATE provider_ledger SET user_id = $2, decline_reason = CASE WHEN decline_reason ~ $3 THEN decline_reason ELSE $4 END
WHERE user_id = $1`

// Erase replaces a user in the ledger by a pseudonym, and returns in how many entries. A charge that is asked for again under the
// pseudonym finds its entry.
func (Books) Erase(ctx context.Context, q pgdb.Querier, user, pseudonym string) (int64, error) {
	tag, err := q.Exec(ctx, eraseSQL, user, pseudonym, messages.CodePattern, messages.ErasedText)
	if err != nil {
		return 0, fmt.Errorf("erase a user in the simulated provider's ledger: %w", err)
	}
	return tag.RowsAffected(), nil
}

const exportPage = 100

const exportSQL = `SELECT payment_id, to_jsonb(l) FROM provider_ledger l WHERE user_id = $1 AND payment_id > $2 ORDER BY payment_id LIMIT $3`

// Export calls put with each entry about a user.
func (Books) Export(ctx context.Context, q pgdb.Querier, user string, put func(erasure.Row) error) error {
	for id, more := "", true; more; {
		page, err := pgdb.Collect(ctx, q, func(row pgx.CollectableRow) (r erasure.Row, err error) {
			err = row.Scan(&id, &r.JSON)
			return r, err
		}, exportSQL, user, id, exportPage)
		if err != nil {
			return fmt.Errorf("export the simulated provider's ledger: %w", err)
		}
		for _, r := range page {
			if err := put(r); err != nil {
				return err
			}
		}
		more = len(page) == exportPage
	}
	return nil
}
