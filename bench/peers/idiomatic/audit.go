package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

// counted is the output of the role audit, which the benchmark compares with the orders that it placed.
type counted struct {
	Orders        int         `json:"orders"`
	Confirmed     int         `json:"confirmed"`
	CapturedTotal json.Number `json:"captured_total"`
	Emails        int         `json:"emails"`
	StockOK       bool        `json:"stock_ok"`
}

// auditSQL is also the Python peer's.
//
//go:embed audit.sql
var auditSQL string

// audit counts the rows of all three services and writes the counts as one line of JSON.
func audit(ctx context.Context, cfg config, out io.Writer) error {
	conn, err := pgx.Connect(ctx, cfg.DatabaseURL)
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
