package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/replay"
)

// On returns an Env that satisfies every Need, for a stack in this process.
func On(s *stack.Stack) *Env {
	b := books{s}
	return &Env{Client: s.Client(), Kafka: s.Kafka(), Control: s, Books: b, Replay: b.replay, Ledger: b.ledger, Emails: s.Emails}
}

// openTime bounds the first connection to Kafka.
const openTime = time.Minute

// books implements Books for a stack. Reading uses the auditor's role; only Misplace uses the superuser's.
type books struct{ stack *stack.Stack }

// Audit does the same as `pas audit --topics --grace 0s`.
func (b books) Audit(ctx context.Context) (*audit.Report, error) {
	url := b.stack.AuditorURL()
	return audit.Run(ctx, audit.Config{OrdersURL: url, PaymentsURL: url, NotificationsURL: url,
		Topics: &feed.Config{Kafka: b.stack.Kafka(), OpenTime: openTime}})
}

// replay moves all groups of a service back to the beginning and compares its state, as `pas replay` does.
func (b books) replay(ctx context.Context, service string) (*replay.Report, error) {
	return replay.Run(ctx, replay.Config{Service: service, Only: -1, Replicas: []*client.Client{b.stack.Client()},
		Kafka: b.stack.Kafka(), Database: b.stack.AuditorURL()})
}

// The statement keeps available + reserved + sold, so that no constraint of the table rejects it. The audit
// alone must find the error.
const misplaceSQL = `UPDATE orders.inventory SET available = available - $2, sold = sold + $2 WHERE sku = $1`

// Misplace changes the stock directly in the database, without the service.
func (b books) Misplace(ctx context.Context, sku string, pieces int64) error {
	conn, err := pgx.Connect(ctx, b.stack.AdminURL())
	if err != nil {
		return fmt.Errorf("misplace stock: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, misplaceSQL, sku, pieces); err != nil {
		return fmt.Errorf("misplace stock: %w", err)
	}
	return nil
}

// An entry "erring" records a request that has taken no money yet.
const ledgerSQL = `
SELECT status FROM payments.audit_provider_ledger WHERE order_id = $1 AND status <> 'erring' ORDER BY created_at, payment_id`

// ledger returns the statuses of the simulated provider's entries about an order, oldest first.
func (b books) ledger(ctx context.Context, orderID string) ([]string, error) {
	conn, err := pgx.Connect(ctx, b.stack.AdminURL()) // of the server itself: the auditor's may lead through a pooler
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
