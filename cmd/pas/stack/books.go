package stack

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/migrations"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/feed"
)

// openTime bounds how long connecting to Kafka may take.
const openTime = 20 * time.Second

// Audit compares the books of all services with each other and with the topics, as `pas audit --topics --grace 0s` does.
func (s *Stack) Audit(ctx context.Context) (*audit.Report, error) {
	url, err := s.databaseURL(migrations.Auditor)
	if err != nil {
		return nil, err
	}
	return audit.Run(ctx, audit.Config{OrdersURL: url, PaymentsURL: url, NotificationsURL: url,
		Topics: &feed.Config{Kafka: s.kafka, OpenTime: openTime}})
}

const misplaceSQL = `UPDATE orders.inventory SET available = available - $2, sold = sold + $2 WHERE sku = $1`

// Misplace spoils the stock of a product, behind the services' backs: pieces are sold that nobody bought. Negative ones put
// it right.
func (s *Stack) Misplace(ctx context.Context, sku string, pieces int64) error {
	conn, err := pgx.Connect(ctx, s.adminURL)
	if err != nil {
		return fmt.Errorf("misplace stock: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, misplaceSQL, sku, pieces); err != nil {
		return fmt.Errorf("misplace stock: %w", err)
	}
	return nil
}
