package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/notifications/internal/domain"
)

// Rebuilt stores notifications as the topics say they are. Safe for concurrent use.
type Rebuilt struct{ pool *pgxpool.Pool }

// NewRebuilt returns a Rebuilt over the pool's schema.
func NewRebuilt(pool *pgxpool.Pool) *Rebuilt { return &Rebuilt{pool} }

// Rows returns the stored notifications of these keys, by StoryKey. Of each wanted one only MessageID, OrderID and Kind count.
func (r *Rebuilt) Rows(ctx context.Context, wanted []domain.Notification) (map[string]domain.Notification, error) {
	found, err := query(ctx, r.pool, existingSQL, pgdb.Column(wanted, orderID), pgdb.Column(wanted, kind), pgdb.Column(wanted, messageID))
	if err != nil {
		return nil, fmt.Errorf("read the notifications of %d keys: %w", len(wanted), err)
	}
	rows := make(map[string]domain.Notification, len(found))
	for _, n := range found {
		rows[n.StoryKey()] = n
	}
	return rows, nil
}

const pendingSQL = `SELECT ` + columns + ` FROM notifications WHERE status = 'pending' AND created_at < $1 AND id > $2 ORDER BY id LIMIT $3`

// Pending returns at most limit pending notifications that were stored before a time, by id, after an id.
func (r *Rebuilt) Pending(ctx context.Context, before time.Time, after int64, limit int) ([]domain.Notification, error) {
	found, err := query(ctx, r.pool, pendingSQL, before, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read pending notifications: %w", err)
	}
	return found, nil
}

// The ids of new rows rise with the time of the request, as far as one statement goes.
const makeSQL = `
INSERT INTO notifications (message_id, order_id, kind, user_id, recipient, message, channel, requested_at, ordered_at, trace_parent,
	status, reason, attempts, sent_at, failed_at, created_at, tried_since, next_attempt_at)
SELECT message_id, NULLIF(order_id, ''), NULLIF(kind, ''), user_id, recipient, message, channel, requested_at, ordered_at, trace_parent,
	status, reason, attempts, sent_at, failed_at, requested_at, requested_at, now()
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[],
		$10::text[], $11::text[], $12::text[], $13::integer[], $14::timestamptz[], $15::timestamptz[])
	AS n (message_id, order_id, kind, user_id, recipient, message, channel, requested_at, ordered_at, trace_parent,
		status, reason, attempts, sent_at, failed_at)
ORDER BY requested_at
ON CONFLICT DO NOTHING`

// The number of the claim rises, so that the outcome of an attempt that still runs changes nothing but to sent. A row that has
// changed since it was read stays: the next rebuild sees it.
const changeSQL = `
UPDATE notifications n SET status = c.status, reason = c.reason, attempts = c.attempts, sent_at = c.sent_at, failed_at = c.failed_at,
	claim = n.claim + 1, next_attempt_at = now(), recorded = true
FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::integer[], $6::timestamptz[], $7::timestamptz[])
	AS c (id, claim, status, reason, attempts, sent_at, failed_at)
WHERE n.id = c.id AND n.claim = c.claim AND n.status <> 'sent'`

// Store stores notifications in one transaction: new ones without an ID, and others that are changed.
func (r *Rebuilt) Store(ctx context.Context, changed []domain.Notification) error {
	var added, others []domain.Notification
	for _, n := range changed {
		if n.ID == 0 {
			added = append(added, n)
		} else {
			others = append(others, n)
		}
	}
	err := pgdb.InTx(ctx, r.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		if len(added) > 0 {
			tag, err := tx.Exec(ctx, makeSQL, append(request(added), end(added)...)...)
			if err != nil {
				return err
			}
			if left := len(added) - int(tag.RowsAffected()); left > 0 {
				return fmt.Errorf("%d of %d are stored already, or the sequence of the ids is behind: run pas migrate, and rebuild again", left, len(added))
			}
		}
		if len(others) > 0 {
			_, err := tx.Exec(ctx, changeSQL, append([]any{pgdb.Column(others, id), pgdb.Column(others, claim)}, end(others)...)...)
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store %d notifications that were made again: %w", len(changed), err)
	}
	return nil
}

func request(all []domain.Notification) []any {
	return []any{
		pgdb.Column(all, messageID), pgdb.Column(all, orderID), pgdb.Column(all, kind),
		pgdb.Column(all, func(n domain.Notification) string { return n.UserID }),
		pgdb.Column(all, func(n domain.Notification) string { return n.To }),
		pgdb.Column(all, func(n domain.Notification) string { return n.Message }),
		pgdb.Column(all, func(n domain.Notification) string { return n.Channel }),
		pgdb.Column(all, func(n domain.Notification) time.Time { return n.RequestedAt }),
		pgdb.Column(all, func(n domain.Notification) *time.Time { return pgdb.NullTime(n.OrderedAt) }),
		pgdb.Column(all, func(n domain.Notification) string { return n.TraceParent }),
	}
}

func end(all []domain.Notification) []any {
	return []any{
		pgdb.Column(all, func(n domain.Notification) string { return string(n.Status) }),
		pgdb.Column(all, func(n domain.Notification) string { return n.Reason }),
		pgdb.Column(all, func(n domain.Notification) int32 { return int32(n.Attempts) }),
		pgdb.Column(all, func(n domain.Notification) *time.Time { return pgdb.NullTime(n.SentAt) }),
		pgdb.Column(all, func(n domain.Notification) *time.Time { return pgdb.NullTime(n.FailedAt) }),
	}
}
