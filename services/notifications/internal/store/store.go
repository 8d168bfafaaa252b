// Package store stores notifications in Postgres. It has the only SQL of the service, and decides nothing. Every method is one
// statement, or reads after one, so no method needs a transaction of several statements.
package store

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// Store is app.Store over Postgres. Safe for concurrent use.
type Store struct{ pool *pgxpool.Pool }

// New returns a store over the pool's schema.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

const columns = `id, message_id, order_id, kind, user_id, recipient, message, channel, status, reason, attempts, claim,
	requested_at, created_at, sent_at, failed_at, ordered_at, trace_parent, tried_since, slot_at`

// scan reads a row of columns, in their order. A NULL becomes "" or the zero time.
func scan(row pgx.CollectableRow) (n domain.Notification, err error) {
	var orderID, kind pgtype.Text
	var sentAt, failedAt, orderedAt, slotAt pgtype.Timestamptz // the zero Time when NULL
	err = row.Scan(&n.ID, &n.MessageID, &orderID, &kind, &n.UserID, &n.To, &n.Message, &n.Channel, &n.Status, &n.Reason,
		&n.Attempts, &n.Claim, &n.RequestedAt, &n.CreatedAt, &sentAt, &failedAt, &orderedAt, &n.TraceParent, &n.TriedSince, &slotAt)
	n.OrderID, n.Kind = orderID.String, kind.String
	n.RequestedAt, n.CreatedAt, n.TriedSince = n.RequestedAt.UTC(), n.CreatedAt.UTC(), n.TriedSince.UTC()
	n.SentAt, n.FailedAt = sentAt.Time.UTC(), failedAt.Time.UTC()
	n.OrderedAt, n.SlotAt = orderedAt.Time.UTC(), slotAt.Time.UTC()
	return n, err
}

// query runs sql, which returns columns, and repeats it as pgdb.Retry does.
func query(ctx context.Context, q pgdb.Querier, sql string, args ...any) ([]domain.Notification, error) {
	return pgdb.Collect(ctx, q, scan, sql, args...)
}

// Without a conflict target, ON CONFLICT covers both unique keys, and the primary key: answers finds such a row neither new nor
// stored. A row also conflicts with an earlier row of the same statement: of duplicates within a batch the first one wins.
const addSQL = `
INSERT INTO notifications (message_id, order_id, kind, user_id, recipient, message, channel, requested_at, next_attempt_at,
	ordered_at, trace_parent)
SELECT message_id, NULLIF(order_id, ''), NULLIF(kind, ''), user_id, recipient, message, channel, requested_at, now() + $9::interval,
	ordered_at, trace_parent
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
		$10::timestamptz[], $11::text[])
	WITH ORDINALITY AS n (message_id, order_id, kind, user_id, recipient, message, channel, requested_at, ordered_at, trace_parent, place)
ORDER BY place
ON CONFLICT DO NOTHING
RETURNING ` + columns

// Add implements app.Store. The insert is one statement, so it is a transaction of its own: rows that are read afterwards are
// committed. New rows are claimed for lease at once: the caller sends them, and after a crash they are due when it ends.
func (s *Store) Add(ctx context.Context, batch []domain.Notification, lease time.Duration) ([]app.Kept, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	added, err := query(ctx, s.pool, addSQL,
		pgdb.Column(batch, messageID),
		pgdb.Column(batch, orderID),
		pgdb.Column(batch, kind),
		pgdb.Column(batch, func(n domain.Notification) string { return n.UserID }),
		pgdb.Column(batch, func(n domain.Notification) string { return n.To }),
		pgdb.Column(batch, func(n domain.Notification) string { return n.Message }),
		pgdb.Column(batch, func(n domain.Notification) string { return n.Channel }),
		pgdb.Column(batch, func(n domain.Notification) time.Time { return n.RequestedAt }),
		lease,
		pgdb.Column(batch, func(n domain.Notification) *time.Time { return pgdb.NullTime(n.OrderedAt) }),
		pgdb.Column(batch, func(n domain.Notification) string { return n.TraceParent }))
	if err != nil {
		return nil, pgdb.Classify(fmt.Errorf("keep notifications: %w", err))
	}
	return s.answers(ctx, batch, added)
}

// answers pairs each notification of the batch with the stored one of its key, added now or before.
func (s *Store) answers(ctx context.Context, batch, added []domain.Notification) ([]app.Kept, error) {
	byKey := make(map[string]domain.Notification, len(batch))
	fresh := make(map[string]bool, len(added))
	for _, n := range added {
		byKey[n.Key()] = n
		fresh[n.Key()] = true
	}
	if len(added) < len(batch) {
		if err := s.existing(ctx, batch, byKey); err != nil {
			return nil, err
		}
	}
	kept := make([]app.Kept, len(batch))
	for i, wanted := range batch {
		key := wanted.Key()
		n, ok := byKey[key]
		if !ok {
			return nil, cmp.Or(pgdb.CheckSequences(ctx, s.pool), fmt.Errorf("notification %s is neither new nor stored", key))
		}
		kept[i] = app.Kept{Notification: n, New: fresh[key]}
		delete(fresh, key) // the next one in the batch with this key is a repetition
	}
	return kept, nil
}

const existingSQL = `
SELECT ` + columns + ` FROM notifications
	JOIN unnest($1::text[], $2::text[]) AS wanted (wanted_order, wanted_kind)
		ON order_id = NULLIF(wanted_order, '') AND kind = NULLIF(wanted_kind, '')
UNION
SELECT ` + columns + ` FROM notifications WHERE message_id = ANY($3) AND (order_id IS NULL OR kind IS NULL)`

// existing adds the stored notifications of the batch to byKey, for the keys that are missing there.
func (s *Store) existing(ctx context.Context, batch []domain.Notification, byKey map[string]domain.Notification) error {
	var missing []domain.Notification
	for _, n := range batch {
		if _, ok := byKey[n.Key()]; !ok {
			missing = append(missing, n)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := query(ctx, s.pool, existingSQL, pgdb.Column(missing, orderID), pgdb.Column(missing, kind), pgdb.Column(missing, messageID))
	if err != nil {
		return fmt.Errorf("read stored notifications: %w", err)
	}
	for _, n := range found {
		if _, ok := byKey[n.Key()]; !ok {
			byKey[n.Key()] = n
		}
	}
	return nil
}

func messageID(n domain.Notification) string { return n.MessageID }
func orderID(n domain.Notification) string   { return n.OrderID }
func kind(n domain.Notification) string      { return n.Kind }
func id(n domain.Notification) int64         { return n.ID }
func claim(n domain.Notification) int32      { return int32(n.Claim) }
