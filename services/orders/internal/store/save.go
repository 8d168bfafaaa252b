package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// Save implements app.Tx. All statements but those for dead letters travel together, with the COMMIT behind them: one round trip,
// and locks are held for less time. An error of any statement undoes all of them.
//
// Rows for the relay and counts of dead letters are only noted here. InTx publishes them after the commit, so a transaction that
// is undone publishes nothing.
func (t *transaction) Save(ctx context.Context, w app.Work) error {
	for _, p := range w.Park {
		added, err := t.letters.ParkIn(ctx, t.tx, p.Record, p.Reason, p.Detail, "")
		if err != nil {
			return err
		}
		if added {
			t.parked = append(t.parked, p.Reason)
		}
	}
	var batch pgx.Batch
	queueOrders(&batch, w.Orders)
	t.queueStock(&batch, w.Stock)
	queueApplied(&batch, w.Applied)
	queueAnswers(&batch, w.Answers, w.Now)
	if err := auditlog.Queue(ctx, &batch, w.Audit...); err != nil {
		return err
	}
	if err := outbox.Add(&batch, func(rows []outbox.Row) { t.rows = rows }, w.Outbox...); err != nil {
		return err
	}
	if err := t.tx.Finish(ctx, &batch); err != nil {
		return fmt.Errorf("save orders: %w", err)
	}
	return nil
}

const insertOrdersSQL = `INSERT INTO orders (order_id, user_id, total_minor, currency, payment_method, email, trace_parent, created_at,
  status, reason, stock, payment_id, late_payment, decided_by, version, updated_at, status_at, due_at, nudges)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
  $9::text[], $10::text[], $11::text[], $12::text[], $13::boolean[], $14::text[], $15::bigint[], $16::timestamptz[],
  $17::timestamptz[], $18::timestamptz[], $19::integer[])`

const insertLinesSQL = `INSERT INTO order_lines (order_id, line, sku, quantity, unit_price_minor)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::bigint[])`

const insertEventsSQL = `INSERT INTO order_events (order_id, number, event, status_from, status_to, detail, at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])`

// Statements that change rows find each row by the key and the version that it was read with. must_change then compares the
// number of rows, and raises an error when one was not found: the locks should make that impossible. The LIMIT keeps the
// planner from reading the whole index of a table that was small when it was last analysed.
const updateOrdersSQL = `WITH changed AS (
  UPDATE orders AS o SET status = u.status, reason = u.reason, stock = u.stock, payment_id = u.payment_id,
    late_payment = u.late_payment, decided_by = u.decided_by, version = u.version, updated_at = u.updated_at,
    status_at = u.status_at, due_at = u.due_at, nudges = u.nudges
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[],
    $9::text[], $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::integer[])
    AS u (id, was_status, was_version, status, reason, stock, payment_id, late_payment, decided_by, version, updated_at,
      status_at, due_at, nudges)
  CROSS JOIN LATERAL (SELECT ctid AS place FROM orders
    WHERE order_id = u.id AND status = u.was_status AND version = u.was_version LIMIT 1) AS found
  WHERE o.ctid = found.place
  RETURNING 1
)
SELECT must_change(count(*), cardinality($1::text[]), 'an order') FROM changed`

// queueOrders queues the inserts and updates of orders, and their new timeline entries. Without rows of a kind it queues no
// statement for it.
func queueOrders(batch *pgx.Batch, orders []*domain.Order) {
	var added, changed []*domain.Order
	for _, o := range orders {
		if o.IsNew() {
			added = append(added, o)
		} else {
			changed = append(changed, o)
		}
	}
	if len(added) > 0 {
		batch.Queue(insertOrdersSQL, newArrays(added)...)
		queueLines(batch, added)
	}
	if len(changed) > 0 {
		batch.Queue(updateOrdersSQL, changedArrays(changed)...)
	}
	queueEvents(batch, orders)
}

// queueLines queues the insert of new orders' lines, numbered from 1. The price of a line that could not be priced is NULL.
func queueLines(batch *pgx.Batch, orders []*domain.Order) {
	var ids []string
	var numbers []int
	var lines []domain.Line
	for _, o := range orders {
		for i, l := range o.Lines {
			ids, numbers, lines = append(ids, o.ID), append(numbers, i+1), append(lines, l)
		}
	}
	if len(ids) > 0 {
		batch.Queue(insertLinesSQL, ids, numbers,
			pgdb.Column(lines, func(l domain.Line) string { return l.SKU }),
			pgdb.Column(lines, func(l domain.Line) int { return l.Quantity }),
			pgdb.Column(lines, func(l domain.Line) *int64 {
				if l.UnitPrice.Currency == "" {
					return nil
				}
				return &l.UnitPrice.Minor
			}))
	}
}

// queueEvents queues the insert of the changes that this transaction made. Their numbers are unique within an order, so two
// transactions that changed the same version cannot both commit.
func queueEvents(batch *pgx.Batch, orders []*domain.Order) {
	var ids []string
	var changes []domain.Change
	for _, o := range orders {
		for _, c := range o.Changes {
			ids, changes = append(ids, o.ID), append(changes, c)
		}
	}
	if len(ids) > 0 {
		batch.Queue(insertEventsSQL, ids,
			pgdb.Column(changes, func(c domain.Change) int64 { return c.Number }),
			pgdb.Column(changes, func(c domain.Change) string { return c.Event }),
			pgdb.Column(changes, func(c domain.Change) string { return string(c.From) }),
			pgdb.Column(changes, func(c domain.Change) string { return string(c.To) }),
			pgdb.Column(changes, func(c domain.Change) string { return c.Detail }),
			pgdb.Column(changes, func(c domain.Change) time.Time { return c.At }))
	}
}

// The CHECKs of the table reject a move of pieces that are not there. So a fault in a use case cannot sell them twice. The
// version rises with each move: see newestSQL.
const moveStockSQL = `WITH changed AS (
  UPDATE inventory AS i SET version = i.version + 1, available = i.available + m.available, reserved = i.reserved + m.reserved,
    sold = i.sold + m.sold
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS m (sku, version, available, reserved, sold)
  CROSS JOIN LATERAL (SELECT ctid AS place FROM inventory WHERE sku = m.sku AND version = m.version LIMIT 1) AS found
  WHERE i.ctid = found.place
  RETURNING 1
)
SELECT must_change(count(*), cardinality($1::text[]), 'a product') FROM changed`

// queueStock moves pieces of products that the transaction has locked.
func (t *transaction) queueStock(batch *pgx.Batch, moves []app.StockMove) {
	if len(moves) == 0 {
		return
	}
	batch.Queue(moveStockSQL,
		pgdb.Column(moves, func(m app.StockMove) string { return m.SKU }),
		pgdb.Column(moves, func(m app.StockMove) int64 { return t.versions[m.SKU] }),
		pgdb.Column(moves, func(m app.StockMove) int64 { return m.Available }),
		pgdb.Column(moves, func(m app.StockMove) int64 { return m.Reserved }),
		pgdb.Column(moves, func(m app.StockMove) int64 { return m.Sold }))
}

const dropHeldSQL = `WITH changed AS (DELETE FROM held_messages WHERE id = ANY($1::bigint[]) RETURNING 1)
SELECT must_change(count(*), cardinality($1::bigint[]), 'a held message') FROM changed`

// queueApplied queues the deletion of held messages that were applied. Their rows are locked, so each must still be there.
func queueApplied(batch *pgx.Batch, ids []int64) {
	if len(ids) > 0 {
		batch.Queue(dropHeldSQL, ids)
	}
}
