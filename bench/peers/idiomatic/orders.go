package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
)

var (
	// Both errors are permanent, but the router retries every error; the benchmark sends only orders that cause
	// neither.
	errUnknownSKU    = errors.New("unknown sku")
	errContradiction = errors.New("the message contradicts what is known of the order")
)

// orders is the service that accepts orders and keeps the stock. An order has these states:
//
//	pending -> awaiting_payment -> confirmed
//	   |              `-> failed     (payment failed; pieces released)
//	   `-> rejected                  (out of stock)
type orders struct{ *service }

const (
	// order_events has one row for each transition, numbered by the order's version.
	pricesSQL      = `SELECT sku, price_minor FROM inventory WHERE sku = ANY($1)`
	insertOrderSQL = `INSERT INTO orders (order_id, user_id, total_minor, currency, status) VALUES ($1, $2, $3, $4, 'pending')`
	insertLineSQL  = `INSERT INTO order_lines (order_id, line, sku, quantity, unit_price_minor) VALUES ($1, $2, $3, $4, $5)`
	insertEventSQL = `INSERT INTO order_events (order_id, number, event, status_from, status_to) VALUES ($1, $2, $3, $4, $5)`
)

// insert makes a pending order of its message and returns it with prices. An order with items is priced by the
// catalogue; the message's own total counts only without items.
func (o orders) insert(ctx context.Context, tx pgx.Tx, placed messages.OrderPlaced) (messages.OrderPlaced, error) {
	var skus []string
	for _, item := range placed.Items {
		skus = append(skus, item.SKU)
	}
	if len(skus) > 0 {
		rows, err := tx.Query(ctx, pricesSQL, skus)
		if err != nil {
			return placed, fmt.Errorf("read prices: %w", err)
		}
		prices := make(map[string]int64, len(skus))
		var sku string
		var price int64
		if _, err := pgx.ForEachRow(rows, []any{&sku, &price}, func() error { prices[sku] = price; return nil }); err != nil {
			return placed, fmt.Errorf("read prices: %w", err)
		}
		placed.Total, placed.HasTotal = messages.Money{Currency: "USD"}, true
		for i, item := range placed.Items {
			price, ok := prices[item.SKU]
			if !ok {
				return placed, fmt.Errorf("%w %s", errUnknownSKU, item.SKU)
			}
			placed.Items[i].UnitPrice = &messages.Money{Minor: price, Currency: "USD"}
			placed.Total.Minor += price * int64(item.Quantity)
		}
	}
	if _, err := tx.Exec(ctx, insertOrderSQL, placed.OrderID, placed.UserID, placed.Total.Minor, placed.Total.Currency); err != nil {
		return placed, fmt.Errorf("insert order: %w", err)
	}
	for i, item := range placed.Items {
		if _, err := tx.Exec(ctx, insertLineSQL, placed.OrderID, i+1, item.SKU, item.Quantity, item.UnitPrice.Minor); err != nil {
			return placed, fmt.Errorf("insert line: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, insertEventSQL, placed.OrderID, 1, messages.EventOrderPlaced, "", "pending"); err != nil {
		return placed, fmt.Errorf("insert event: %w", err)
	}
	return placed, nil
}

// order is a row of orders with its lines, sorted by sku.
type order struct {
	id, userID, status string
	total              messages.Money
	version            int64
	lines              []messages.Item
}

const (
	lockOrderSQL = `SELECT user_id, total_minor, currency, status, version FROM orders WHERE order_id = $1 FOR UPDATE`
	linesSQL     = `SELECT sku, quantity FROM order_lines WHERE order_id = $1 ORDER BY sku`
)

// lock reads an order and locks its row until the end of the transaction: two messages of one order cannot
// interleave.
func (o orders) lock(ctx context.Context, tx pgx.Tx, id string) (order, error) {
	found := order{id: id}
	err := tx.QueryRow(ctx, lockOrderSQL, id).
		Scan(&found.userID, &found.total.Minor, &found.total.Currency, &found.status, &found.version)
	if err != nil {
		return found, fmt.Errorf("lock order %s: %w", id, err)
	}
	rows, err := tx.Query(ctx, linesSQL, id)
	if err != nil {
		return found, fmt.Errorf("read lines of order %s: %w", id, err)
	}
	found.lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (item messages.Item, err error) {
		err = row.Scan(&item.SKU, &item.Quantity)
		return item, err
	})
	if err != nil {
		return found, fmt.Errorf("read lines of order %s: %w", id, err)
	}
	return found, nil
}

// The condition on the status is the natural key of a transition: the second of two equal ones changes no row.
const advanceSQL = `UPDATE orders SET status = $3, reason = $4, payment_id = $5, version = version + 1, updated_at = now()
WHERE order_id = $1 AND status = $2`

// advance changes an order's status and records the transition. The caller has locked the row.
func (o orders) advance(ctx context.Context, tx pgx.Tx, is order, event, status, reason, paymentID string) error {
	if _, err := tx.Exec(ctx, advanceSQL, is.id, is.status, status, reason, paymentID); err != nil {
		return fmt.Errorf("advance order %s: %w", is.id, err)
	}
	if _, err := tx.Exec(ctx, insertEventSQL, is.id, is.version+1, event, is.status, status); err != nil {
		return fmt.Errorf("insert event: %w", err)
	}
	return nil
}

const (
	// Each statement keeps available + reserved + sold. Only reserve can find too few pieces.
	reserveSQL = `UPDATE inventory SET available = available - $2, reserved = reserved + $2 WHERE sku = $1 AND available >= $2`
	sellSQL    = `UPDATE inventory SET reserved = reserved - $2, sold = sold + $2 WHERE sku = $1`
	releaseSQL = `UPDATE inventory SET reserved = reserved - $2, available = available + $2 WHERE sku = $1`
)

// move runs one of the statements above for each line.
func (o orders) move(ctx context.Context, tx pgx.Tx, sql string, lines []messages.Item) error {
	for _, line := range lines {
		tag, err := tx.Exec(ctx, sql, line.SKU, line.Quantity)
		if err != nil {
			return fmt.Errorf("move stock of %s: %w", line.SKU, err)
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("move stock: %w %s", errUnknownSKU, line.SKU)
		}
	}
	return nil
}

// reserve takes the pieces of all lines, or none of them. The lines are sorted by sku, so that two orders
// cannot wait for each other.
func (o orders) reserve(ctx context.Context, tx pgx.Tx, lines []messages.Item) (ok bool, err error) {
	for i, line := range lines {
		tag, err := tx.Exec(ctx, reserveSQL, line.SKU, line.Quantity)
		if err != nil {
			return false, fmt.Errorf("reserve %s: %w", line.SKU, err)
		}
		if tag.RowsAffected() == 0 {
			return false, o.move(ctx, tx, releaseSQL, lines[:i])
		}
	}
	return true, nil
}
