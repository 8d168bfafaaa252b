package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/pgdb"
)

// Books are the provider's books in this schema. Only the provider reads and writes them.
type Books interface {
	// Erase replaces a user in the books by a pseudonym, and returns in how many entries.
	Erase(ctx context.Context, q pgdb.Querier, user, pseudonym string) (int64, error)
	// Export calls put with each entry about a user.
	Export(ctx context.Context, q pgdb.Querier, user string, put func(erasure.Row) error) error
}

// Users exports and erases users. It implements erasure.Data.
type Users struct {
	store *Store
	books Books
}

// NewUsers returns the users in a store, and in the books of the provider when the schema has them; nil = it has none.
func NewUsers(s *Store, books Books) *Users { return &Users{s, books} }

const lockUserSQL = `SELECT FROM payments WHERE user_id = $1 ORDER BY order_id FOR UPDATE`

const eraseSQL = `UPDATE payments SET user_id = $2, reason = CASE WHEN reason ~ $3 THEN reason ELSE $4 END WHERE user_id = $1`

// Erase implements erasure.Data. Each payment is decided, so none is refused.
func (u *Users) Erase(ctx context.Context, tx *pgdb.Tx, p *erasure.Person, pseudonym string) (erasure.Counts, error) {
	if _, err := tx.Exec(ctx, lockUserSQL, p.User); err != nil {
		return nil, fmt.Errorf("lock the payments of a user: %w", err)
	}
	tag, err := tx.Exec(ctx, eraseSQL, p.User, pseudonym, messages.CodePattern, messages.ErasedText)
	if err != nil {
		return nil, fmt.Errorf("erase the payments of a user: %w", err)
	}
	counts := erasure.Counts{"payments": tag.RowsAffected()}
	if u.books != nil {
		if counts["ledger_entries"], err = u.books.Erase(ctx, tx, p.User, pseudonym); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// exportPage bounds how many rows of an export are in memory.
const exportPage = 100

const exportSQL = `SELECT created_at, order_id, to_jsonb(p) FROM payments p
WHERE user_id = $1 AND (created_at, order_id) < ($2, $3) ORDER BY created_at DESC, order_id DESC LIMIT $4`

// Export implements erasure.Data.
func (u *Users) Export(ctx context.Context, user string, put func(kind string, row any) error) error {
	for at, id, more := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "", true; more; {
		page, err := pgdb.Collect(ctx, u.store.pool, func(row pgx.CollectableRow) (r erasure.Row, err error) {
			err = row.Scan(&at, &id, &r.JSON)
			return r, err
		}, exportSQL, user, at, id, exportPage)
		if err != nil {
			return fmt.Errorf("export payments: %w", err)
		}
		for _, r := range page {
			if err := put("payment", r); err != nil {
				return err
			}
		}
		more = len(page) == exportPage
	}
	if u.books == nil {
		return nil
	}
	return u.books.Export(ctx, u.store.pool, user, func(r erasure.Row) error { return put("ledger_entry", r) })
}
