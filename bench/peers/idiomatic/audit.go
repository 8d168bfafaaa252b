package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

// counted is the answer of the role audit.
type counted struct {
	Orders        int         `json:"orders"`
	Confirmed     int         `json:"confirmed"`
	CapturedTotal json.Number `json:"captured_total"`
	Emails        int         `json:"emails"`
	StockOK       bool        `json:"stock_ok"`
}

// Stock is right when, for each sku, nothing is below zero, the pieces add up, what is sold is what confirmed orders
// have, and what is reserved is what orders that wait for their payment have.
const auditSQL = `
WITH held AS (
  SELECT l.sku, coalesce(sum(l.quantity) FILTER (WHERE o.status = 'confirmed'), 0) AS sold,
         coalesce(sum(l.quantity) FILTER (WHERE o.status = 'awaiting_payment'), 0) AS reserved
  FROM orders.order_lines l JOIN orders.orders o USING (order_id) GROUP BY l.sku
)
SELECT (SELECT count(*) FROM orders.orders),
       (SELECT count(*) FROM orders.orders WHERE status = 'confirmed'),
       (SELECT coalesce(sum(amount_minor), 0) / 100.0 FROM payments.payments WHERE status = 'captured')::numeric(20, 2)::text,
       (SELECT count(*) FROM notifications.notifications),
       (SELECT bool_and(available >= 0 AND available + i.reserved + i.sold = stocked
                        AND i.sold = coalesce(held.sold, 0) AND i.reserved = coalesce(held.reserved, 0))
        FROM orders.inventory i LEFT JOIN held USING (sku))`

func audit(ctx context.Context, cfg config, out io.Writer) error {
	conn, err := pgx.Connect(ctx, cfg.databaseURL)
	if err != nil {
		return fmt.Errorf("connect to postgres: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var c counted
	var total string
	if err := conn.QueryRow(ctx, auditSQL).Scan(&c.Orders, &c.Confirmed, &total, &c.Emails, &c.StockOK); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	c.CapturedTotal = json.Number(total)
	return json.NewEncoder(out).Encode(c)
}
