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

// openShown bounds how many orders an erasure.UnfinishedError names.
const openShown = 10

// The rows are locked in the order of their key, as LockOrders locks them.
const ordersOfUserSQL = `SELECT order_id, email, status IN ('confirmed', 'rejected', 'failed', 'cancelled') FROM orders
WHERE user_id = $1 ORDER BY order_id FOR UPDATE`

// A message that is not in Kafka yet would bring the name there after the erasure.
const outboxOfOrdersSQL = `SELECT count(*) FROM outbox WHERE key = ANY($1::bytea[])`

// Only the text of another system, such as a payment provider, is replaced: codes tell nothing about a person.
const eraseEventsSQL = `UPDATE order_events AS e SET detail = $2 FROM orders o
WHERE o.order_id = ANY($1) AND e.order_id = o.order_id AND e.detail = o.reason AND o.reason !~ $3`

const eraseOrdersSQL = `UPDATE orders SET user_id = $2, email = $3,
  reason = CASE WHEN reason ~ $4 THEN reason ELSE $5 END
WHERE order_id = ANY($1)`

// Without logins a key has no user. The answers are JSON of this service: those about orders have the user, those about products none.
const eraseAnswersSQL = `DELETE FROM idempotency_keys WHERE ` + answerOfUser

const answerOfUser = `(user_id = $1 OR CASE WHEN octet_length(body) > 0 THEN convert_from(body, 'UTF8')::jsonb ->> 'user_id' END = $1)`

// As with dead letters, the positions stay: an audit then finds that the records were read.
const eraseHeldSQL = `WITH gone AS (DELETE FROM held_messages WHERE id = ANY($1) RETURNING topic, partition, record_offset, record_time)
INSERT INTO erased_letters (topic, partition, record_offset, last_offset, record_time, reason, replayed)
SELECT topic, partition, record_offset, record_offset, record_time, 'held', false FROM gone ON CONFLICT DO NOTHING`

// Erase implements erasure.Data. Orders that are not settled are refused: their messages are on their way, and money may move.
func (s *Store) Erase(ctx context.Context, tx *pgdb.Tx, p *erasure.Person, pseudonym string) (erasure.Counts, error) {
	var ids []string
	var keys [][]byte
	open := &erasure.UnfinishedError{Things: "orders"}
	_, err := pgdb.Collect(ctx, tx, func(row pgx.CollectableRow) (id string, err error) {
		var email string
		var settled bool
		if err := row.Scan(&id, &email, &settled); err != nil {
			return id, err
		}
		if !settled && len(open.Open) < openShown {
			open.Open = append(open.Open, messages.Shown(id))
		}
		p.Writes(email)
		ids, keys = append(ids, id), append(keys, []byte(id))
		return id, nil
	}, ordersOfUserSQL, p.User)
	if err != nil {
		return nil, fmt.Errorf("lock the orders of a user: %w", err)
	}
	if open.Messages, err = pgdb.CollectOne(ctx, tx, pgx.RowTo[int64], outboxOfOrdersSQL, keys); err != nil {
		return nil, fmt.Errorf("look for messages of a user: %w", err)
	}
	if len(open.Open) > 0 || open.Messages > 0 {
		return nil, open
	}
	held, err := heldOf(ctx, tx, p)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, eraseEventsSQL, ids, messages.ErasedText, messages.CodePattern); err != nil {
		return nil, fmt.Errorf("erase the timelines of a user: %w", err)
	}
	counts := erasure.Counts{}
	for _, one := range []struct {
		kind, sql string
		args      []any
	}{
		{"orders", eraseOrdersSQL, []any{ids, pseudonym, messages.ErasedAddress(pseudonym), messages.CodePattern, messages.ErasedText}},
		{"kept_answers", eraseAnswersSQL, []any{p.User}},
		{"held_messages", eraseHeldSQL, []any{pgdb.Column(held, func(h heldRow) int64 { return h.id })}},
	} {
		tag, err := tx.Exec(ctx, one.sql, one.args...)
		if err != nil {
			return nil, fmt.Errorf("erase the %s of a user: %w", one.kind, err)
		}
		counts[one.kind] = tag.RowsAffected()
	}
	return counts, nil
}

// heldRow is a held message as an export shows it.
type heldRow struct {
	id     int64
	record messages.Record
	json   []byte
}

const heldPage = 200

const heldPageSQL = `SELECT id, topic, key, value, record_time, to_jsonb(h) - 'key' - 'value' - 'content' - 'twin'
  || jsonb_build_object('value', convert_from(value, 'UTF8'))
FROM held_messages h WHERE id > $1 ORDER BY id LIMIT $2`

// heldOf returns the held messages about a person. They are few: most wait for seconds.
func heldOf(ctx context.Context, q pgdb.Querier, p *erasure.Person) (of []heldRow, err error) {
	for after := int64(0); ; {
		page, err := pgdb.Collect(ctx, q, func(row pgx.CollectableRow) (h heldRow, err error) {
			err = row.Scan(&h.id, &h.record.Topic, &h.record.Key, &h.record.Value, &h.record.Time, &h.json)
			return h, err
		}, heldPageSQL, after, heldPage)
		if err != nil {
			return nil, fmt.Errorf("read held messages: %w", err)
		}
		for _, h := range page {
			if after = h.id; p.In(h.record) {
				of = append(of, h)
			}
		}
		if len(page) < heldPage {
			return of, nil
		}
	}
}

// exportPage bounds how many rows of an export are in memory.
const exportPage = 100

const exportOrdersSQL = `SELECT created_at, order_id, email, to_jsonb(o) || jsonb_build_object(
  'lines', coalesce((SELECT jsonb_agg(to_jsonb(l) - 'order_id' ORDER BY line) FROM order_lines l WHERE l.order_id = o.order_id), '[]'),
  'events', coalesce((SELECT jsonb_agg(to_jsonb(e) - 'order_id' ORDER BY number) FROM order_events e WHERE e.order_id = o.order_id), '[]'))
FROM orders o WHERE user_id = $1 AND (created_at, order_id) < ($2, $3) ORDER BY created_at DESC, order_id DESC LIMIT $4`

const exportAnswersSQL = `SELECT key, user_id, to_jsonb(k) - 'request_hash' - 'body' || jsonb_build_object('body', convert_from(body, 'UTF8'))
FROM idempotency_keys k WHERE ` + answerOfUser + ` AND (key, user_id) > ($2, $3) ORDER BY key, user_id LIMIT $4`

// Export implements erasure.Data: orders with lines and timeline, held messages, and answers that are kept under an idempotency key.
func (s *Store) Export(ctx context.Context, user string, put func(kind string, row any) error) error {
	p := erasure.NewPerson(user)
	for at, id, more := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), "", true; more; {
		page, err := pgdb.Collect(ctx, s.pool, func(row pgx.CollectableRow) (r erasure.Row, err error) {
			var email string
			err = row.Scan(&at, &id, &email, &r.JSON)
			r.Mail = []string{email}
			return r, err
		}, exportOrdersSQL, user, at, id, exportPage)
		if err != nil {
			return fmt.Errorf("export orders: %w", err)
		}
		for _, r := range page {
			p.Writes(r.Mail...)
			if err := put("order", r); err != nil {
				return err
			}
		}
		more = len(page) == exportPage
	}
	held, err := heldOf(ctx, s.pool, p)
	if err != nil {
		return err
	}
	for _, h := range held {
		if err := put("held_message", erasure.Row{JSON: h.json}); err != nil {
			return err
		}
	}
	for key, of, more := "", "", true; more; {
		page, err := pgdb.Collect(ctx, s.pool, func(row pgx.CollectableRow) (r erasure.Row, err error) {
			err = row.Scan(&key, &of, &r.JSON)
			return r, err
		}, exportAnswersSQL, user, key, of, exportPage)
		if err != nil {
			return fmt.Errorf("export kept answers: %w", err)
		}
		for _, r := range page {
			if err := put("kept_answer", r); err != nil {
				return err
			}
		}
		more = len(page) == exportPage
	}
	return nil
}
