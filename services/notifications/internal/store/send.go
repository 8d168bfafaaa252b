package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// The life of a row, and the columns that decide it:
//
//	pending, due  --Claim--> pending, claimed for a lease --Settle--> sent
//	   ^   ^                    |           |         |       or -->  failed --Retry--> pending, due
//	   |   +------ Release -----+           |         +-------or -->  pending, due after a pause
//	   +---- the lease has ended -----------+
//
// next_attempt_at is the end of the lease or of the pause. claim counts the claims of a row: a process that is late has an old
// number, and its outcome is ignored.
//
// Two processes that claim at the same time get different rows: each skips rows that the other has locked. The rows come in
// the order of their ids, which keeps the emails of one order in order. An email that comes a minute late loses its time in
// the mailbox: otherwise all of them would leave at once after an outage. An email that was tried keeps its time for an hour.
const claimSQL = `
WITH due AS (
	SELECT id FROM notifications
	WHERE status = 'pending' AND next_attempt_at <= now()
	ORDER BY next_attempt_at, id
	LIMIT $1
	FOR UPDATE SKIP LOCKED
), claimed AS (
	UPDATE notifications n SET claim = n.claim + 1, next_attempt_at = now() + $2::interval,
		slot_at = CASE WHEN n.slot_at > now() - CASE WHEN n.attempts > 0 THEN interval '1 hour' ELSE interval '1 minute' END THEN n.slot_at END
	WHERE n.id = ANY (ARRAY(SELECT id FROM due)) -- a join may read all of them by id, as planned for a table that was empty
	RETURNING n.*
)
SELECT ` + columns + ` FROM claimed ORDER BY id`

// Claim implements app.Store. A claim whose answer was lost costs one lease: then the rows are due again, and nothing was sent.
func (s *Store) Claim(ctx context.Context, limit int, lease time.Duration) ([]domain.Notification, error) {
	claimed, err := query(ctx, s.pool, claimSQL, limit, lease)
	if err != nil {
		return nil, fmt.Errorf("claim notifications: %w", err)
	}
	return claimed, nil
}

// An email that was sent is sent, also if another process has claimed the row since. Any other outcome counts only under the
// claim of its attempt. The expected status is a parameter: as a constant it would lead the planner to read the index of
// pending rows instead of finding the id. Waiting for room in a mailbox is not counted as age: the age at which attempts end
// begins at the time that the email waited for.
const settleSQL = `
UPDATE notifications n
SET status = o.status, reason = o.reason, attempts = n.attempts + o.attempts, sent_at = o.sent_at,
	failed_at = COALESCE(o.failed_at, n.failed_at), recorded = o.recorded,
	next_attempt_at = GREATEST(o.slot_at, now() + o.pause), slot_at = o.slot_at,
	tried_since = CASE WHEN o.attempts > 0 OR o.slot_at IS NULL THEN n.tried_since
		WHEN n.attempts = 0 THEN o.slot_at
		ELSE n.tried_since + (o.slot_at - now()) END
FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::interval[], $8::integer[], $9::timestamptz[],
		$10::timestamptz[], $11::boolean[])
	AS o (id, claim, was, status, reason, sent_at, pause, attempts, slot_at, failed_at, recorded)
WHERE n.id = o.id AND n.status = o.was AND (o.status = 'sent' OR n.claim = o.claim)`

// Settle implements app.Store. An outcome whose row has changed meanwhile is ignored without an error. A repetition changes
// nothing once the first one has ended the pending status.
func (s *Store) Settle(ctx context.Context, outcomes []app.Outcome) error {
	_, err := pgdb.Exec(ctx, s.pool, settleSQL,
		pgdb.Column(outcomes, func(o app.Outcome) int64 { return o.ID }),
		pgdb.Column(outcomes, func(o app.Outcome) int32 { return int32(o.Claim) }),
		pgdb.Column(outcomes, func(app.Outcome) string { return string(domain.Pending) }),
		pgdb.Column(outcomes, func(o app.Outcome) string { return string(o.Status) }),
		pgdb.Column(outcomes, func(o app.Outcome) string { return o.Reason }),
		pgdb.Column(outcomes, func(o app.Outcome) pgtype.Timestamptz {
			return pgtype.Timestamptz{Time: o.SentAt, Valid: o.Status == domain.Sent}
		}),
		pgdb.Column(outcomes, func(o app.Outcome) time.Duration { return o.Pause }),
		pgdb.Column(outcomes, func(o app.Outcome) int32 {
			if o.Waits {
				return 0
			}
			return 1
		}),
		pgdb.Column(outcomes, func(o app.Outcome) *time.Time { return pgdb.NullTime(o.Slot) }),
		pgdb.Column(outcomes, func(o app.Outcome) *time.Time { return pgdb.NullTime(o.FailedAt) }),
		pgdb.Column(outcomes, func(o app.Outcome) bool { return !o.Unrecorded }))
	if err != nil {
		return fmt.Errorf("settle notifications: %w", err)
	}
	return nil
}

const releaseSQL = `
UPDATE notifications n SET next_attempt_at = now()
FROM unnest($1::bigint[], $2::integer[]) AS c (id, claim)
WHERE n.id = c.id AND n.status = 'pending' AND n.claim = c.claim`

// Release implements app.Store. A draining process calls it, so that another one need not wait for the end of the lease.
func (s *Store) Release(ctx context.Context, claimed []domain.Notification) error {
	if _, err := pgdb.Exec(ctx, s.pool, releaseSQL, pgdb.Column(claimed, id), pgdb.Column(claimed, claim)); err != nil {
		return fmt.Errorf("release notifications: %w", err)
	}
	return nil
}

const renewSQL = `UPDATE notifications SET next_attempt_at = now() + $3::interval WHERE id = $1 AND claim = $2 AND status = 'pending'`

// Renew implements app.Store. It returns nil also when the claim is lost: the email is on its way then, and cannot be stopped.
func (s *Store) Renew(ctx context.Context, n domain.Notification, lease time.Duration) error {
	if _, err := pgdb.Exec(ctx, s.pool, renewSQL, n.ID, n.Claim, lease); err != nil {
		return fmt.Errorf("renew claim on notification %d: %w", n.ID, err)
	}
	return nil
}

const retrySQL = `UPDATE notifications SET status = 'pending', attempts = 0, tried_since = now(), next_attempt_at = now(), recorded = true
WHERE id = $1 AND status = 'failed' AND recipient <> '' RETURNING ` + columns

const emptiedSQL = `SELECT recipient = '' FROM notifications WHERE id = $1`

// Retry implements app.Store. It drops the unpublished event of the failure, because the retry leads to another outcome. Its entry
// in the audit log is part of the transaction. The second statement only finds the reason why the first one changed no row.
func (s *Store) Retry(ctx context.Context, id int64) (n domain.Notification, err error) {
	err = pgdb.InTx(ctx, s.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		if n, err = pgdb.CollectOne(ctx, tx, scan, retrySQL, id); err != nil {
			return err
		}
		var batch pgx.Batch
		if err := auditlog.Queue(ctx, &batch, auditlog.Entry{Operation: "email.retry", Subject: strconv.FormatInt(id, 10)}); err != nil {
			return err
		}
		return tx.Finish(ctx, &batch)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		emptied, failed := pgdb.CollectOne(ctx, s.pool, pgx.RowTo[bool], emptiedSQL, id)
		switch {
		case errors.Is(failed, pgx.ErrNoRows):
			err = app.ErrNotFound
		case failed != nil:
			err = failed
		case emptied:
			err = app.ErrEmptied
		default:
			err = app.ErrNotFailed
		}
	}
	if err != nil {
		return n, fmt.Errorf("retry notification %d: %w", id, err)
	}
	return n, nil
}
