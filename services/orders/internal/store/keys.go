package store

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/app"
)

// The life of a key:
//
//	free --ClaimKeys--> locked by a transaction --commit--> kept, perhaps running --FinishAnswer, or time--> kept
//	  ^                        |                                                                             |
//	  +------- rollback -------+                                              pruned after KeyTTL <----------+
//
// A locked or running key is busy for others. A lock ends with its connection, so a crash leaves no key busy for ever.

// Trying never waits, so the order of the locks does not matter. Two keys with the same hash share a lock: one of them is then
// busy for a moment, and its client tries again. A key has no line break, so no key of one user has the name of another's. A key
// without a user has the name that earlier versions gave it.
const tryKeysSQL = `SELECT pg_try_advisory_xact_lock(hashtextextended('pasdetrois.orders.key:' ||
  CASE user_id WHEN '' THEN key ELSE user_id || E'\n' || key END, 0))
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (user_id, key, ord) ORDER BY ord`

const keysSQL = `SELECT user_id, key, request_hash, status_code, location, etag, body, running_until
FROM unnest($1::text[], $2::text[]) AS asked (of_user, of_key) JOIN idempotency_keys ON key = of_key AND user_id = of_user`

// keyOf is the primary key of idempotency_keys.
type keyOf struct{ user, key string }

// keptKey is a row of idempotency_keys.
type keptKey struct {
	keyOf
	location, etag string
	hash, body     []byte
	status         int
	until          *time.Time // running until then; nil = the answer is final
}

// ClaimKeys implements app.Tx. It takes two statements in one round trip for any number of keys. A running key whose time is over
// returns its first answer: the request that should have finished it has failed.
func (t *transaction) ClaimKeys(ctx context.Context, keys []app.Idempotency, now time.Time) ([]app.KeyClaim, error) {
	users := pgdb.Column(keys, func(k app.Idempotency) string { return k.User })
	names := pgdb.Column(keys, func(k app.Idempotency) string { return k.Key })
	var ours []bool
	found := make(map[keyOf]keptKey)
	var batch pgx.Batch
	batch.Queue(tryKeysSQL, users, names).Query(func(rows pgx.Rows) (err error) {
		ours, err = pgx.CollectRows(rows, pgx.RowTo[bool])
		return err
	})
	// A second statement, with a snapshot of its own: it sees rows that were committed before this transaction got the locks.
	batch.Queue(keysSQL, users, names).Query(func(rows pgx.Rows) error {
		var k keptKey
		_, err := pgx.ForEachRow(rows, []any{&k.user, &k.key, &k.hash, &k.status, &k.location, &k.etag, &k.body, &k.until}, func() error {
			found[k.keyOf] = k
			return nil
		})
		return err
	})
	if err := t.tx.Send(ctx, &batch); err != nil {
		return nil, fmt.Errorf("claim idempotency keys: %w", err)
	}
	claims := make([]app.KeyClaim, len(keys))
	for i, key := range keys {
		k, kept := found[keyOf{key.User, key.Key}]
		switch {
		case !ours[i]:
			claims[i].Err = app.ErrKeyBusy
		case !kept:
		case !bytes.Equal(k.hash, key.RequestHash):
			claims[i].Err = app.ErrKeyReused
		case k.until != nil && k.until.After(now):
			claims[i].Err = app.ErrKeyBusy
		default:
			claims[i].Answer = &app.Answer{Status: k.status, Location: k.location, ETag: k.etag, Body: k.body}
		}
	}
	return claims, nil
}

// A plain insert: this transaction has the lock of each key and found no row, so a conflict is a fault and must show.
const keepAnswersSQL = `INSERT INTO idempotency_keys
  (key, request_hash, status_code, location, etag, body, running_until, created_at, user_id)
SELECT key, hash, status, location, etag, body, until, $9, user_id
FROM unnest($1::text[], $2::bytea[], $3::integer[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[], $8::text[])
  AS a (key, hash, status, location, etag, body, until, user_id)`

// queueAnswers queues the insert of all answers as one statement, with an array for each column.
func queueAnswers(batch *pgx.Batch, answers []app.KeptAnswer, now time.Time) {
	if len(answers) == 0 {
		return
	}
	batch.Queue(keepAnswersSQL,
		pgdb.Column(answers, func(a app.KeptAnswer) string { return a.Key }),
		pgdb.Column(answers, func(a app.KeptAnswer) []byte { return a.RequestHash }),
		pgdb.Column(answers, func(a app.KeptAnswer) int { return a.Status }),
		pgdb.Column(answers, func(a app.KeptAnswer) string { return a.Location }),
		pgdb.Column(answers, func(a app.KeptAnswer) string { return a.ETag }),
		pgdb.Column(answers, func(a app.KeptAnswer) []byte { return notNil(a.Body) }),
		pgdb.Column(answers, func(a app.KeptAnswer) *time.Time { return pgdb.NullTime(a.RunningUntil) }),
		pgdb.Column(answers, func(a app.KeptAnswer) string { return a.User }), now)
}

const finishAnswerSQL = `UPDATE idempotency_keys
SET status_code = $3, location = $4, etag = $5, body = $6, running_until = NULL
WHERE key = $1 AND user_id = $7 AND request_hash = $2 AND running_until IS NOT NULL`

// FinishAnswer implements app.Store. A key that was pruned meanwhile stays pruned, and a finished answer is never replaced: a
// client may have got it already. Neither case is an error.
func (s *Store) FinishAnswer(ctx context.Context, key app.Idempotency, answer app.Answer) error {
	_, err := pgdb.Exec(ctx, s.pool, finishAnswerSQL, key.Key, key.RequestHash, answer.Status, answer.Location, answer.ETag,
		notNil(answer.Body), key.User)
	if err != nil {
		return fmt.Errorf("store the final answer: %w", err)
	}
	return nil
}

// notNil returns an empty body for nil: NULL is not allowed.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// The rows are locked, so their places do not change until they are deleted.
const pruneKeysSQL = `DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))`

// PruneKeys implements app.Store. Replicas may prune at the same time: each skips rows that another has locked.
func (s *Store) PruneKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := pgdb.Exec(ctx, s.pool, pruneKeysSQL, before, limit)
	if err != nil {
		return 0, fmt.Errorf("prune idempotency keys: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
