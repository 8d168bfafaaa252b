//go:build crash

package crash

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/e2e/progress"
)

// read reads every row of a query into structs.
func read[T any](ctx context.Context, conn *pgx.Conn, sql string, args ...any) ([]T, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read the books: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	if err != nil {
		return nil, fmt.Errorf("read the books: %w", err)
	}
	return all, nil
}

const (
	ordersSQL        = `SELECT order_id, user_id, status, reason, total_minor, payment_id FROM orders.audit_orders`
	stepsSQL         = `SELECT order_id, number, status_from, status_to FROM orders.audit_order_events ORDER BY order_id, number`
	paymentsSQL      = `SELECT order_id, status, reason, amount_minor, payment_id FROM payments.audit_payments`
	ledgerSQL        = `SELECT order_id, status, amount_minor, payment_id, charge_calls FROM payments.audit_provider_ledger`
	notificationsSQL = `SELECT COALESCE(order_id, '') AS order_id, COALESCE(kind, '') AS kind, status, recipient FROM notifications.audit_notifications`
	stockSQL         = `SELECT sku, available, reserved, sold, stocked FROM orders.audit_stock`
)

// What nobody may have any more when all is settled.
const leftSQL = `
SELECT 'messages in the outbox' AS what, count(*) FROM orders.audit_outbox
UNION ALL SELECT 'messages held by orders', count(*) FROM orders.audit_held_messages
UNION ALL SELECT 'messages parked by orders', count(*) FROM orders.audit_dead_letters
UNION ALL SELECT 'messages parked by payments', count(*) FROM payments.audit_dead_letters
UNION ALL SELECT 'emails whose outcome is not published', count(*) FROM notifications.audit_notifications WHERE NOT recorded
UNION ALL SELECT 'messages parked by notifications', count(*) FROM notifications.audit_dead_letters`

func readBooks(ctx context.Context, conn *pgx.Conn, w wire, m *mailbox) (*books, error) {
	b := &books{Emails: m.emails()}
	var err error
	keep := func(next error) {
		if err == nil {
			err = next
		}
	}
	into(&b.Orders, keep)(read[orderRow](ctx, conn, ordersSQL))
	into(&b.Steps, keep)(read[stepRow](ctx, conn, stepsSQL))
	into(&b.Payments, keep)(read[paymentRow](ctx, conn, paymentsSQL))
	into(&b.Ledger, keep)(read[ledgerRow](ctx, conn, ledgerSQL))
	into(&b.Notifications, keep)(read[notificationRow](ctx, conn, notificationsSQL))
	into(&b.Stock, keep)(read[stockRow](ctx, conn, stockSQL))
	into(&b.Left, keep)(read[leftover](ctx, conn, leftSQL))
	into(&b.Messages, keep)(w.records(ctx))
	return b, err
}

func into[T any](to *[]T, keep func(error)) func([]T, error) {
	return func(rows []T, err error) {
		*to = rows
		keep(err)
	}
}

// blow is one SIGKILL, and the work that was open when it hit.
type blow struct {
	progress.Open
	victim string
	at     time.Duration // since the load began
}
