package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/notifications/internal/app"
)

// Limit is app.Limit over Postgres, so that all replicas count together. Safe for concurrent use.
type Limit struct {
	pool    *pgxpool.Pool
	perHour int
	mailbox func(address string) string
}

// NewLimit returns a limit of perHour emails to each mailbox. mailbox returns the same text for addresses that lead to
// one mailbox.
func NewLimit(pool *pgxpool.Pool, perHour int, mailbox func(address string) string) *Limit {
	return &Limit{pool: pool, perHour: perHour, mailbox: mailbox}
}

// A row has the times of the emails of the last hour and of those that wait, in order. Its lock makes replicas take times one
// after the other. While there are fewer than $2 times, an email leaves at once. Otherwise it leaves an hour after the email
// $2 places before it, so that no hour has more than $2. More than a day's share is rejected, unless $3. All times are the
// database's, because the clocks of replicas differ.
const takeSQL = `
INSERT INTO mailboxes AS m (mailbox, slots) VALUES ($1, ARRAY[now()])
ON CONFLICT (mailbox) DO UPDATE SET slots = (
	SELECT slots || CASE WHEN cardinality(slots) < $2::int THEN now()
		ELSE slots[cardinality(slots) - $2::int + 1] + interval '1 hour' END
	FROM (SELECT COALESCE(array_agg(s ORDER BY s), '{}') AS slots
		FROM unnest(m.slots) AS s WHERE s > now() - interval '1 hour') AS counted)
WHERE $3 OR (SELECT count(*) FROM unnest(m.slots) AS s WHERE s > now() - interval '1 hour') < 24 * $2::int
RETURNING slots[cardinality(slots)], slots[cardinality(slots)] <= now()`

// Take implements app.Limit. It is not retried: a repetition after a lost answer would take a second time for one email.
func (l *Limit) Take(ctx context.Context, address string, again bool) (slot time.Time, now bool, err error) {
	err = l.pool.QueryRow(ctx, takeSQL, l.mailbox(address), l.perHour, again).Scan(&slot, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return slot, false, app.ErrTooMany
	}
	if err != nil {
		return slot, false, fmt.Errorf("count the emails to one address: %w", err)
	}
	return slot.UTC(), now, nil
}

const giveBackSQL = `UPDATE mailboxes SET slots = array_remove(slots, $2) WHERE mailbox = $1`

// GiveBack implements app.Limit. slot is a time that Take returned; any other time changes nothing.
func (l *Limit) GiveBack(ctx context.Context, address string, slot time.Time) error {
	if _, err := pgdb.Exec(ctx, l.pool, giveBackSQL, l.mailbox(address), slot); err != nil {
		return fmt.Errorf("free the time of an email: %w", err)
	}
	return nil
}

// Replicas prune at the same time: each skips rows that another replica, or an email, has locked.
const pruneSQL = `
DELETE FROM mailboxes WHERE mailbox = ANY (ARRAY(
	SELECT mailbox FROM mailboxes AS m
	WHERE NOT EXISTS (SELECT FROM unnest(m.slots) AS s WHERE s > now() - interval '1 hour')
	LIMIT $1 FOR UPDATE SKIP LOCKED))`

// pruneBatch bounds the rows that one statement removes, so that no statement holds locks for long.
const pruneBatch = 10_000

// Prune implements app.Limit. It ends after the first batch that is not full.
func (l *Limit) Prune(ctx context.Context) error {
	for {
		tag, err := pgdb.Exec(ctx, l.pool, pruneSQL, pruneBatch)
		if err != nil {
			return fmt.Errorf("prune mailboxes: %w", err)
		}
		if tag.RowsAffected() < pruneBatch {
			return nil
		}
	}
}
