package store

import (
	"context"
	"fmt"
	"time"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/notifications/internal/domain"
)

// A settled row has no next attempt to send, so next_attempt_at is the end of the lease under which its event is published. The
// status is compared by <> for the planner: the partial index of pending rows does not fit then.
const unrecordedSQL = `
WITH due AS (
	SELECT id FROM notifications
	WHERE NOT recorded AND next_attempt_at <= now() AND status <> 'pending'
	ORDER BY next_attempt_at
	LIMIT $1
	FOR UPDATE SKIP LOCKED
), claimed AS (
	UPDATE notifications SET next_attempt_at = now() + $2::interval WHERE id = ANY (ARRAY(SELECT id FROM due)) RETURNING *
)
SELECT ` + columns + ` FROM claimed ORDER BY id`

// Unrecorded implements app.Store. After a crash the rows are due again when the lease ends, and are published twice, with the
// same ids.
func (s *Store) Unrecorded(ctx context.Context, limit int, lease time.Duration) ([]domain.Notification, error) {
	found, err := query(ctx, s.pool, unrecordedSQL, limit, lease)
	if err != nil {
		return nil, fmt.Errorf("claim unrecorded outcomes: %w", err)
	}
	return found, nil
}

const anyUnrecordedSQL = `SELECT EXISTS (SELECT 1 FROM notifications WHERE NOT recorded)`

// AnyUnrecorded implements app.Store.
func (s *Store) AnyUnrecorded(ctx context.Context) (found bool, err error) {
	if err := s.pool.QueryRow(ctx, anyUnrecordedSQL).Scan(&found); err != nil {
		return false, fmt.Errorf("look for unrecorded outcomes: %w", err)
	}
	return found, nil
}

// The times are compared, because an operator may have had the email sent again, and it may have failed again.
const recordedSQL = `
UPDATE notifications n SET recorded = true
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS r (id, sent_at, failed_at)
WHERE n.id = r.id AND NOT n.recorded AND n.sent_at IS NOT DISTINCT FROM r.sent_at AND n.failed_at IS NOT DISTINCT FROM r.failed_at`

// Recorded implements app.Store.
func (s *Store) Recorded(ctx context.Context, published []domain.Notification) error {
	_, err := pgdb.Exec(ctx, s.pool, recordedSQL, pgdb.Column(published, id),
		pgdb.Column(published, func(n domain.Notification) *time.Time { return pgdb.NullTime(n.SentAt) }),
		pgdb.Column(published, func(n domain.Notification) *time.Time { return pgdb.NullTime(n.FailedAt) }))
	if err != nil {
		return fmt.Errorf("mark outcomes as recorded: %w", err)
	}
	return nil
}
