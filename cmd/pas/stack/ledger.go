package stack

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// The simulated provider is an outside system whose books happen to be in our database: see package provider of payments.
const ledgerSQL = `
SELECT status FROM payments.provider_ledger WHERE order_id = $1 AND status <> 'erring' ORDER BY created_at, payment_id`

// Ledger returns the simulated provider's entries about an order: charged, refunded or declined.
func (s *Stack) Ledger(ctx context.Context, orderID string) ([]string, error) {
	conn, err := pgx.Connect(ctx, s.adminURL)
	if err != nil {
		return nil, fmt.Errorf("provider's ledger: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, ledgerSQL, orderID)
	if err != nil {
		return nil, fmt.Errorf("provider's ledger: %w", err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("provider's ledger: %w", err)
	}
	return entries, nil
}
