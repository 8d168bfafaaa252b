package behind

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// orders is the book of the orders service. Its decisions are the statuses that an order has reached.
type orders struct{}

const (
	orderAwaiting   decision = "awaiting_payment"
	orderCancelling decision = "cancelling"
	orderRejected   decision = "rejected"
	orderConfirmed  decision = "confirmed"
	orderCancelled  decision = "cancelled"
	orderFailed     decision = "failed"
	// orderLate is a refund of money that came in after the order had ended.
	orderLate decision = "late "
)

// claim takes only messages that orders published. Another producer's payment_requested is no decision of orders. An
// order_placed is none either: a replay decides such an order for the first time.
func (orders) claim(m messages.Message, _ *kgo.Record) (claim, bool) {
	if m.Source != messages.ServiceOrders {
		return claim{}, false
	}
	c := claim{key: m.Event.Key(), about: m.Event.Key(), says: m.Event.EventName()}
	switch e := m.Event.(type) {
	case messages.PaymentRequested:
		c.what = orderAwaiting
	case messages.RefundRequested:
		c.what = orderCancelling
		if status, late := strings.CutPrefix(e.Reason, "order_"); late && messages.Settled(status) {
			c.what = orderLate + decision(status)
		}
	case messages.OrderRejected:
		c.what = orderRejected
	case messages.OrderConfirmed:
		c.what = orderConfirmed
	case messages.OrderCancelled:
		c.what = orderCancelled
	case messages.OrderFailed:
		c.what = orderFailed
	case messages.NotificationRequested:
		if e.OrderID == "" || !messages.Settled(e.Kind) {
			return claim{}, false
		}
		c.what, c.says = decision(e.Kind), "notification "+e.Kind
	default:
		return claim{}, false
	}
	return c, true
}

// order is a row of the view audit_orders.
type order struct {
	status, decidedBy string
	late              bool
}

// decidedByHTTP is the cause of an order that was cancelled before its step.
const decidedByHTTP = "http"

const ordersSQL = `SELECT order_id, status, decided_by, late_payment FROM orders.audit_orders WHERE order_id = ANY($1)`

const removedOrdersSQL = `SELECT id FROM orders.audit_removed WHERE id = ANY($1::uuid[])`

func (orders) compare(ctx context.Context, conn *pgx.Conn, claims []claim) ([]answer, error) {
	found, err := conn.Query(ctx, ordersSQL, abouts(claims))
	if err != nil {
		return nil, err
	}
	rows := make(map[string]order, len(claims))
	var id string
	var o order
	if _, err := pgx.ForEachRow(found, []any{&id, &o.status, &o.decidedBy, &o.late}, func() error {
		rows[id] = o
		return nil
	}); err != nil {
		return nil, err
	}
	gone, err := removed(ctx, conn, removedOrdersSQL, without(claims, rows))
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(claims))
	for i, c := range claims {
		if gone[c.about] {
			continue // it has the decision
		}
		o := rows[c.about]
		answers[i] = answer{o.judge(c.what), o.status}
	}
	return answers, nil
}

// judge compares the row with a status that it must have reached. The zero order stands for a missing row.
//
//	the topics say     the row has it                                      the row is behind it
//	awaiting_payment   all but those of the next column, and rejected      missing, pending
//	confirmed          confirmed, cancelling, cancelled, failed            missing, pending, awaiting_payment
//	cancelling         cancelling, cancelled, failed                       missing, pending, awaiting_payment, confirmed
//	an end             the same                                            all that are not settled; confirmed, unless rejected is the end
//
// Every other status contradicts. So does one that the order reached on a way past the decision: failed by payment_failed,
// or cancelled before its payment was requested.
func (o order) judge(what decision) verdict {
	if status, late := strings.CutPrefix(string(what), string(orderLate)); late {
		if v := o.judge(decision(status)); v != has || o.late {
			return v
		}
		return isBehind
	}
	status := decision(o.status)
	switch {
	case status == what:
		return has
	case status == "", status == "pending":
		return isBehind
	case what == orderRejected, status == orderRejected:
		return contradicts
	case status == orderCancelled && o.decidedBy == decidedByHTTP:
		return contradicts // its payment was not requested
	case what == orderAwaiting:
		return has
	case status == orderAwaiting:
		return isBehind
	case what == orderCancelled, what == orderFailed:
		if status == orderConfirmed || status == orderCancelling {
			return isBehind
		}
		return contradicts
	case what == orderCancelling && status == orderConfirmed:
		return isBehind
	case status == orderFailed && o.decidedBy == messages.EventPaymentFailed:
		return contradicts
	}
	return has
}

func abouts(claims []claim) []string {
	ids := make([]string, len(claims))
	for i, c := range claims {
		ids[i] = c.about
	}
	return ids
}
