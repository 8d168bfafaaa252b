package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/services/orders/internal/app"
)

const tryKeySQL = `SELECT pg_try_advisory_xact_lock(hashtextextended('pasdetrois.orders.key:' || $1, 0))`

const keySQL = `SELECT request_hash, status_code, location, etag, body, running_until FROM idempotency_keys WHERE key = $1`

// ClaimKey implements app.Tx.
func (t *transaction) ClaimKey(ctx context.Context, key app.Idempotency, now time.Time) (*app.Answer, error) {
	var ours bool
	if err := t.tx.QueryRow(ctx, tryKeySQL, key.Key).Scan(&ours); err != nil {
		return nil, fmt.Errorf("lock idempotency key: %w", err)
	}
	if !ours {
		return nil, app.ErrKeyBusy
	}
	// A statement of its own, so that it sees what was committed before the lock was ours.
	var hash []byte
	var until *time.Time
	var answer app.Answer
	err := t.tx.QueryRow(ctx, keySQL, key.Key).Scan(&hash, &answer.Status, &answer.Location, &answer.ETag, &answer.Body, &until)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read idempotency key: %w", err)
	case !bytes.Equal(hash, key.RequestHash):
		return nil, app.ErrKeyReused
	case until != nil && until.After(now):
		return nil, app.ErrKeyBusy
	}
	return &answer, nil
}

const keepAnswerSQL = `INSERT INTO idempotency_keys
  (key, request_hash, status_code, location, etag, body, running_until, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

// KeepAnswer implements app.Tx.
func (t *transaction) KeepAnswer(ctx context.Context, key app.Idempotency, answer app.Answer, runningUntil, now time.Time) error {
	var until *time.Time
	if !runningUntil.IsZero() {
		until = &runningUntil
	}
	_, err := t.tx.Exec(ctx, keepAnswerSQL, key.Key, key.RequestHash, answer.Status, answer.Location, answer.ETag,
		notNil(answer.Body), until, now)
	if err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	return nil
}

const finishAnswerSQL = `UPDATE idempotency_keys
SET status_code = $3, location = $4, etag = $5, body = $6, running_until = NULL
WHERE key = $1 AND request_hash = $2 AND running_until IS NOT NULL`

// FinishAnswer implements app.Store. A key that was forgotten meanwhile stays so.
func (s *Store) FinishAnswer(ctx context.Context, key app.Idempotency, answer app.Answer) error {
	_, err := s.pool.Exec(ctx, finishAnswerSQL, key.Key, key.RequestHash, answer.Status, answer.Location, answer.ETag,
		notNil(answer.Body))
	if err != nil {
		return fmt.Errorf("keep final answer: %w", err)
	}
	return nil
}

// notNil makes an empty body of none: NULL is not allowed.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

const pruneKeysSQL = `DELETE FROM idempotency_keys WHERE key IN (
  SELECT key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)`

// PruneKeys implements app.Store.
func (s *Store) PruneKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, pruneKeysSQL, before, limit)
	if err != nil {
		return 0, fmt.Errorf("prune idempotency keys: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
