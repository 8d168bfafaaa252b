package audit

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// order is a row of the view audit_orders. Amounts are minor units. lines has the format that outcomeOf describes.
type order struct {
	id, user, status, reason, currency, paymentID, decidedBy, lines string
	total, version                                                  int64
	latePayment                                                     bool
	created, updated                                                time.Time
	due                                                             *time.Time
}

const ordersSQL = `SELECT order_id, user_id, status, reason, currency, payment_id, total_minor, version, created_at, updated_at, due_at,
  decided_by, late_payment, coalesce(lines, '')
FROM audit_orders ORDER BY order_id COLLATE "C"`

func scanOrder(r pgx.Rows, o *order) error {
	return r.Scan(&o.id, &o.user, &o.status, &o.reason, &o.currency, &o.paymentID, &o.total, &o.version, &o.created, &o.updated, &o.due,
		&o.decidedBy, &o.latePayment, &o.lines)
}

// timelineSQL returns one text for each order whose timeline contradicts its row. The last change must lead to the
// order's status. The changes must be numbered from 1 without a gap. Each change must begin where the one before it
// ended.
const timelineSQL = `
SELECT o.order_id || ' is ' || o.status || ', change ' || o.version || ' of its timeline says ' || COALESCE(e.status_to, 'nothing')
FROM audit_orders o LEFT JOIN audit_order_events e ON e.order_id = o.order_id AND e.number = o.version
WHERE e.status_to IS DISTINCT FROM o.status
UNION ALL
SELECT order_id || ' has ' || count(*) || ' changes, numbered up to ' || max(number)
FROM audit_order_events GROUP BY order_id HAVING count(*) <> max(number)
UNION ALL
SELECT e.order_id || ' goes on from ' || e.status_from || ' at change ' || e.number || ', not from ' || before.status_to
FROM audit_order_events e JOIN audit_order_events before ON before.order_id = e.order_id AND before.number = e.number - 1
WHERE e.status_from <> before.status_to`

// payment is a row of the view audit_payments. amount is in minor units.
type payment struct {
	id, user, status, reason, currency, paymentID string
	amount                                        int64
	outside                                       bool // asked for by another producer than orders
	updated                                       time.Time
}

// paysFor reports whether the payment is the order's. A payment that was asked for from outside may have the order's id
// by chance: it pays for the order only if user, amount and currency agree. A nil payment pays for nothing.
func (p *payment) paysFor(o *order) bool {
	return p != nil && (!p.outside || p.user == o.user && p.amount == o.total && p.currency == o.currency)
}

const paymentsSQL = `SELECT order_id, user_id, status, reason, currency, payment_id, amount_minor, outside, updated_at
FROM audit_payments ORDER BY order_id COLLATE "C"`

func scanPayment(r pgx.Rows, p *payment) error {
	return r.Scan(&p.id, &p.user, &p.status, &p.reason, &p.currency, &p.paymentID, &p.amount, &p.outside, &p.updated)
}

// entry is a row of the provider's own ledger. An order may have several: attempts that failed have entries, too.
type entry struct {
	id, status, currency, paymentID string
	amount                          int64
	at                              time.Time
}

const ledgerSQL = `SELECT order_id, status, currency, payment_id, amount_minor, COALESCE(refunded_at, created_at)
FROM audit_provider_ledger ORDER BY order_id COLLATE "C"`

func scanEntry(r pgx.Rows, e *entry) error {
	return r.Scan(&e.id, &e.status, &e.currency, &e.paymentID, &e.amount, &e.at)
}

// notification is a row of the view audit_notifications that names an order. at is the time of sending, else of
// creation. One that is not recorded has ended, and its event is still to be published.
type notification struct {
	id, kind, status string
	at               time.Time
	recorded         bool
}

const notificationsSQL = `SELECT order_id, kind, status, COALESCE(sent_at, created_at), recorded
FROM audit_notifications WHERE order_id IS NOT NULL ORDER BY order_id COLLATE "C"`

func scanNotification(r pgx.Rows, n *notification) error {
	return r.Scan(&n.id, &n.kind, &n.status, &n.at, &n.recorded)
}

// stockSQL returns each product beside the pieces that the orders hold of it.
const stockSQL = `SELECT sku, available, reserved, sold, stocked, orders_reserved, orders_sold FROM audit_stock ORDER BY sku`

// outboxSQL returns the rows that no relay has published yet, and whether each is older than the grace ($1).
const outboxSQL = `SELECT id, topic, key, created_at < now() - $1::interval FROM audit_outbox ORDER BY id`

// parkedSQL returns the dead letters that are open: neither replayed nor discarded.
const parkedSQL = `SELECT 'dead letter ' || id || ': ' || topic || '/' || partition || '@' || record_offset || ' ' || reason
FROM audit_dead_letters WHERE open ORDER BY id`

// heldSQL returns held messages that wait longer than the grace ($1). Messages from outside do not count: the event for
// which they wait need not ever come.
const heldSQL = `SELECT 'held: ' || event || ' of order ' || order_id FROM audit_held_messages
WHERE held_at < now() - $1::interval AND NOT outside ORDER BY id`
