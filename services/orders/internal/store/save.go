package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// Save implements app.Tx. All statements but those for dead letters travel together, with the COMMIT behind them.
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
	if err := outbox.Add(&batch, func(rows []outbox.Row) { t.rows = rows }, w.Outbox...); err != nil {
		return err
	}
	if err := t.tx.Finish(ctx, &batch); err != nil {
		return fmt.Errorf("save orders: %w", err)
	}
	return nil
}

const insertOrdersSQL = `INSERT INTO orders (` + orderColumns + `)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
  $9::text[], $10::text[], $11::boolean[], $12::text[], $13::bigint[], $14::timestamptz[], $15::timestamptz[],
  $16::timestamptz[], $17::timestamptz[], $18::integer[], $19::text[])`

const insertLinesSQL = `INSERT INTO order_lines (order_id, line, sku, quantity, unit_price_minor)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::bigint[])`

const insertEventsSQL = `INSERT INTO order_events (order_id, number, event, status_from, status_to, detail, at)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])`

// What changes rows that were read finds each at its place, by the key and the version it was read with. Without the LIMIT,
// which the planner has to keep, it may read the whole index instead where a table looks small.
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
		batch.Queue(insertOrdersSQL, orderArrays(added)...)
		queueLines(batch, added)
	}
	if len(changed) > 0 {
		batch.Queue(updateOrdersSQL, changeArrays(changed)...)
	}
	queueEvents(batch, orders)
}

func queueLines(batch *pgx.Batch, orders []*domain.Order) {
	var ids, skus []string
	var numbers, quantities []int
	var prices []*int64
	for _, o := range orders {
		for i, l := range o.Lines {
			ids, numbers, skus, quantities = append(ids, o.ID), append(numbers, i+1), append(skus, l.SKU), append(quantities, l.Quantity)
			var price *int64
			if l.UnitPrice.Currency != "" {
				price = &l.UnitPrice.Minor
			}
			prices = append(prices, price)
		}
	}
	if len(ids) > 0 {
		batch.Queue(insertLinesSQL, ids, numbers, skus, quantities, prices)
	}
}

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
			column(changes, func(c domain.Change) int64 { return c.Number }),
			column(changes, func(c domain.Change) string { return c.Event }),
			column(changes, func(c domain.Change) string { return string(c.From) }),
			column(changes, func(c domain.Change) string { return string(c.To) }),
			column(changes, func(c domain.Change) string { return c.Detail }),
			column(changes, func(c domain.Change) time.Time { return c.At }))
	}
}

// The CHECKs of the table refuse a move that would take pieces that are not there.
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
		column(moves, func(m app.StockMove) string { return m.SKU }),
		column(moves, func(m app.StockMove) int64 { return t.versions[m.SKU] }),
		column(moves, func(m app.StockMove) int64 { return m.Available }),
		column(moves, func(m app.StockMove) int64 { return m.Reserved }),
		column(moves, func(m app.StockMove) int64 { return m.Sold }))
}

const dropHeldSQL = `WITH changed AS (DELETE FROM held_messages WHERE id = ANY($1::bigint[]) RETURNING 1)
SELECT must_change(count(*), cardinality($1::bigint[]), 'a message kept aside') FROM changed`

func queueApplied(batch *pgx.Batch, ids []int64) {
	if len(ids) > 0 {
		batch.Queue(dropHeldSQL, ids)
	}
}

// column returns one field of every row.
func column[T, V any](rows []T, get func(T) V) []V {
	values := make([]V, len(rows))
	for i, r := range rows {
		values[i] = get(r)
	}
	return values
}
