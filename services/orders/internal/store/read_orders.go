package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

const orderColumns = `order_id, user_id, total_minor, currency, payment_method, email, status, reason, stock, payment_id,
late_payment, decided_by, version, created_at, updated_at, status_at, due_at, nudges, trace_parent`

// scanOrder reads a row of orderColumns, in their order. Times become UTC: pgx returns them in the machine's zone.
func scanOrder(row pgx.CollectableRow) (*domain.Order, error) {
	var o domain.Order
	var due *time.Time
	err := row.Scan(&o.ID, &o.UserID, &o.Total.Minor, &o.Total.Currency, &o.PaymentMethod, &o.Email, &o.Status, &o.Reason,
		&o.Holds, &o.PaymentID, &o.LatePayment, &o.DecidedBy, &o.Version, &o.CreatedAt, &o.UpdatedAt, &o.StatusAt, &due,
		&o.Nudges, &o.TraceParent)
	if err != nil {
		return nil, err
	}
	o.CreatedAt, o.UpdatedAt, o.StatusAt = o.CreatedAt.UTC(), o.UpdatedAt.UTC(), o.StatusAt.UTC()
	if due != nil {
		o.DueAt = due.UTC()
	}
	return &o, nil
}

// Lines never change, so a statement of their own may read them.
const (
	linesSQL   = lines + ` ORDER BY order_id, line`
	linesOfSQL = lines + ` AND EXISTS (SELECT FROM orders o WHERE o.order_id = l.order_id AND o.user_id = nullif($2, '')) ORDER BY order_id, line`
	lines      = `SELECT order_id, sku, quantity, unit_price_minor FROM order_lines l WHERE order_id = ANY($1)`
)

// addLines reads the lines of the orders into them, in the order of their numbers. A line that could not be priced keeps the zero
// Money.
func addLines(orders map[string]*domain.Order, rows pgx.Rows) error {
	var id, sku string
	var quantity int
	var price *int64
	_, err := pgx.ForEachRow(rows, []any{&id, &sku, &quantity, &price}, func() error {
		o := orders[id]
		if o == nil { // the order was committed after the orders were read
			return nil
		}
		l := domain.Line{SKU: sku, Quantity: quantity}
		if price != nil {
			l.UnitPrice = messages.Money{Minor: *price, Currency: o.Total.Currency}
		}
		o.Lines = append(o.Lines, l)
		return nil
	})
	return err
}

// byID returns the orders by id. Lines are added through the map.
func byID(orders []*domain.Order) map[string]*domain.Order {
	m := make(map[string]*domain.Order, len(orders))
	for _, o := range orders {
		m[o.ID] = o
	}
	return m
}

// reading is a query for orders, and one for their lines.
type reading struct{ orders, lines string }

// queueRead queues both queries. The first argument of the one for orders is key, that of the one for lines is ids; only follows
// in both, the user whose orders they must be. It calls read with the orders once the batch is sent and both results are there.
func queueRead(batch *pgx.Batch, read func([]*domain.Order), sql reading, key any, ids []string, only ...any) {
	var orders []*domain.Order
	batch.Queue(sql.orders, append([]any{key}, only...)...).Query(func(rows pgx.Rows) (err error) {
		orders, err = pgx.CollectRows(rows, scanOrder)
		return err
	})
	batch.Queue(sql.lines, append([]any{ids}, only...)...).Query(func(rows pgx.Rows) error {
		if err := addLines(byID(orders), rows); err != nil {
			return err
		}
		read(orders)
		return nil
	})
}

const (
	orderSQL   = `SELECT ` + orderColumns + ` FROM orders WHERE order_id = $1`
	orderOfSQL = orderSQL + ` AND user_id = nullif($2, '')`
)

// An order of another user is not found. Which statements run depends on the caller alone, so such an order costs as much as one
// that does not exist.
var (
	readAny = reading{orderSQL, linesSQL}
	readOf  = reading{orderOfSQL, linesOfSQL}
)

// Order implements app.Store. The order and its lines come in one round trip, without a transaction: lines never change.
func (s *Store) Order(ctx context.Context, id string, only *string) (domain.Order, error) {
	sql, user := readAny, []any(nil)
	if only != nil {
		sql, user = readOf, []any{*only}
	}
	var orders []*domain.Order
	err := pgdb.Retry(ctx, func(ctx context.Context) error {
		var batch pgx.Batch
		queueRead(&batch, func(found []*domain.Order) { orders = found }, sql, id, []string{id}, user...)
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return domain.Order{}, fmt.Errorf("read order %s: %w", id, err)
	}
	if len(orders) == 0 {
		return domain.Order{}, app.ErrNotFound
	}
	return *orders[0], nil
}

const newerSQL = `SELECT ` + orderColumns + ` FROM orders o
JOIN unnest($1::text[], $2::bigint[]) AS seen (id, seen_version) ON o.order_id = seen.id AND o.version > seen.seen_version`

// Newer implements app.Store. One statement answers for all orders that are watched.
func (s *Store) Newer(ctx context.Context, versions map[string]int64) ([]domain.Order, error) {
	ids, seen := make([]string, 0, len(versions)), make([]int64, 0, len(versions))
	for id, v := range versions {
		ids, seen = append(ids, id), append(seen, v)
	}
	orders, err := pgdb.Collect(ctx, s.pool, scanOrder, newerSQL, ids, seen)
	if err != nil {
		return nil, fmt.Errorf("read changed orders: %w", err)
	}
	return s.withLines(ctx, orders)
}

// withLines reads the lines of all orders in one statement. A repetition begins with no lines, or it would add them twice.
func (s *Store) withLines(ctx context.Context, orders []*domain.Order) ([]domain.Order, error) {
	if len(orders) == 0 {
		return nil, nil
	}
	ids, found := pgdb.Column(orders, orderID), byID(orders)
	err := pgdb.Retry(ctx, func(ctx context.Context) error {
		for _, o := range orders {
			o.Lines = nil
		}
		rows, err := s.pool.Query(ctx, linesSQL, ids)
		if err != nil {
			return err
		}
		return addLines(found, rows)
	})
	if err != nil {
		return nil, fmt.Errorf("read lines of orders: %w", err)
	}
	return pgdb.Column(orders, func(o *domain.Order) domain.Order { return *o }), nil
}

// One statement for each filter, so that each uses its own index. The row comparison continues behind the cursor's order, and
// costs the same on every page. The table's n_distinct of user_id makes the index of users the choice for each user.
const (
	listSQL         = `SELECT ` + orderColumns + ` FROM orders WHERE (created_at, order_id) < ($1, $2)` + listOrder
	listUserSQL     = `SELECT ` + orderColumns + ` FROM orders WHERE user_id = $4 AND (created_at, order_id) < ($1, $2)` + listOrder
	listStatusSQL   = `SELECT ` + orderColumns + ` FROM orders WHERE status = $4 AND (created_at, order_id) < ($1, $2)` + listOrder
	listUserStatSQL = `SELECT ` + orderColumns + ` FROM orders WHERE user_id = $4 AND status = $5 AND (created_at, order_id) < ($1, $2)` + listOrder
	listOrder       = ` ORDER BY created_at DESC, order_id DESC LIMIT $3`
)

// Orders implements app.Store. The first page begins at a time that no order has.
func (s *Store) Orders(ctx context.Context, q app.Query) ([]domain.Order, error) {
	after := q.After
	if after.CreatedAt.IsZero() {
		after.CreatedAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	sql, args := listSQL, []any{after.CreatedAt, after.OrderID, q.Limit}
	switch {
	case q.UserID != "" && q.Status != "":
		sql, args = listUserStatSQL, append(args, q.UserID, q.Status)
	case q.UserID != "":
		sql, args = listUserSQL, append(args, q.UserID)
	case q.Status != "":
		sql, args = listStatusSQL, append(args, q.Status)
	}
	orders, err := pgdb.Collect(ctx, s.pool, scanOrder, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return s.withLines(ctx, orders)
}

const (
	timelineSQL   = timeline + ` ORDER BY number`
	timelineOfSQL = timeline + ` AND EXISTS (SELECT FROM orders o WHERE o.order_id = $1 AND o.user_id = nullif($3, '')) ORDER BY number`
	timeline      = `SELECT number, event, status_from, status_to, detail, at FROM order_events WHERE order_id = $1 AND number > $2`
)

// Timeline implements app.Store.
func (s *Store) Timeline(ctx context.Context, id string, after int64, only *string) ([]domain.Change, error) {
	sql, args := timelineSQL, []any{id, after}
	if only != nil {
		sql, args = timelineOfSQL, append(args, *only)
	}
	changes, err := pgdb.Collect(ctx, s.pool, func(row pgx.CollectableRow) (c domain.Change, err error) {
		err = row.Scan(&c.Number, &c.Event, &c.From, &c.To, &c.Detail, &c.At)
		c.At = c.At.UTC()
		return c, err
	}, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read timeline of order %s: %w", id, err)
	}
	return changes, nil
}
