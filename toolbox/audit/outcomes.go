package audit

import (
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/erasure"
)

// outcome is the content on which an outcome event (order_confirmed, order_cancelled, order_failed) and the order's row
// must agree.
type outcome struct {
	event, user, currency, paymentID, reason, step string
	total                                          int64
	lines                                          string // as ordersSQL writes them
}

// outcomeOf returns the outcome in an event, and false for an event of another kind. lines has the format of the view
// audit_orders, one line for each item: SKU, quantity and unit price in minor units, which is empty when there is none.
func outcomeOf(event messages.Event) (outcome, bool) {
	o := outcome{event: event.EventName()}
	var total messages.Money
	var items []messages.Item
	switch e := event.(type) {
	case messages.OrderConfirmed:
		o.user, o.paymentID, o.step = e.UserID, e.PaymentID, e.Step
		total, items = e.Total, e.Items
	case messages.OrderCancelled:
		o.user, o.paymentID, o.reason, o.step = e.UserID, e.PaymentID, e.Reason, e.Step
		total, items = e.Total, e.Items
	case messages.OrderFailed:
		o.user, o.paymentID, o.reason, o.step = e.UserID, e.PaymentID, e.Reason, e.Step
		total, items = e.Total, e.Items
	default:
		return o, false
	}
	o.total, o.currency = total.Minor, total.Currency
	var lines strings.Builder
	for _, it := range items {
		lines.WriteString(it.SKU + " " + strconv.Itoa(it.Quantity) + " ")
		if it.UnitPrice != nil {
			lines.WriteString(strconv.FormatInt(it.UnitPrice.Minor, 10))
		}
		lines.WriteByte('\n')
	}
	o.lines = lines.String()
	return o, true
}

// outcome returns the outcome event that the topics must have, computed from the row. There is none while the order is
// not settled, and none when order_rejected or payment_failed is its outcome.
func (o *order) outcome() (outcome, bool) {
	end := outcome{user: o.user, currency: o.currency, paymentID: o.paymentID, reason: o.reason, step: o.decidedBy, total: o.total, lines: o.lines}
	if o.latePayment { // the payment arrived after the event was sent, so the event has no id
		end.paymentID = ""
	}
	switch {
	case o.status == messages.KindConfirmed:
		end.event = messages.EventOrderConfirmed
	case o.status == messages.KindCancelled:
		end.event = messages.EventOrderCancelled
	case o.status == messages.KindFailed && o.decidedBy != messages.EventPaymentFailed:
		end.event = messages.EventOrderFailed
	default:
		return outcome{}, false
	}
	return end, true
}

// sum returns a hash that is equal for outcomes that agree. A story keeps these 8 bytes instead of the whole outcome, because there is
// one story for each order. The lower half is of the user alone. Two outcomes that differ have the same sum once in 2^32, and the
// difference is missed then.
func (o outcome) sum() uint64 {
	content, user := fnv.New64a(), fnv.New32a()
	for _, field := range []string{o.event, o.currency, o.paymentID, o.reason, o.step, strconv.FormatInt(o.total, 10), o.lines} {
		_, _ = io.WriteString(content, field+"\x00")
	}
	_, _ = io.WriteString(user, o.user)
	return content.Sum64()&^onlyUser | uint64(user.Sum32())
}

// onlyUser is the half of a sum that is of the user.
const onlyUser = 1<<32 - 1

// agrees reports whether the topics' sum is the outcome's. The row of an erased user has a pseudonym, and the topics have the user's
// name until retention removes it, so users are not compared then.
func (o outcome) agrees(sum uint64) bool {
	if erasure.IsPseudonym(o.user) {
		return (o.sum()^sum)&^onlyUser == 0
	}
	return o.sum() == sum
}

// toldBy returns the bit that stands for an outcome event in a story; 0 for another event.
func toldBy(event string) told {
	switch event {
	case messages.EventOrderConfirmed:
		return endConfirmed
	case messages.EventOrderCancelled:
		return endCancelled
	case messages.EventOrderFailed:
		return endFailed
	}
	return 0
}

// end returns the name of the outcome event in the set, the last possible one first; "" when there is none.
func (t told) end() string {
	for _, event := range []string{messages.EventOrderFailed, messages.EventOrderCancelled, messages.EventOrderConfirmed} {
		if t&toldBy(event) != 0 {
			return event
		}
	}
	return ""
}

// wrongOutcome returns the fault in the outcome events of an order, "" when there is none. An order has the event of
// its end. It has order_confirmed as well when it was cancelled, or is being cancelled, after its confirmation.
//
// An older version of the service published no outcome events. So an event may be missing unless an outcome precedes the
// order's first order_placed on its partition. Positions decide, not times. An outcome of an old order may be published
// again, and a producer may forge a time.
func wrongOutcome(o *order, is story) string {
	end, due := o.outcome()
	for _, event := range []string{messages.EventOrderConfirmed, messages.EventOrderCancelled, messages.EventOrderFailed} {
		earlier := event == messages.EventOrderConfirmed && (o.status == "cancelling" || o.status == messages.KindCancelled)
		if is.told&toldBy(event) != 0 && event != end.event && !earlier {
			return fmt.Sprintf("%s is %s, and the topics have %s of it", o.id, o.status, event)
		}
	}
	switch {
	case !due:
		return ""
	case is.told&toldBy(end.event) == 0 && is.told&afterOutcome != 0:
		return fmt.Sprintf("%s is %s, and the topics have no %s of it", o.id, o.status, end.event)
	case is.told&toldBy(end.event) != 0 && !end.agrees(is.outcome):
		return fmt.Sprintf("%s is %s, and its %s has other content", o.id, o.status, end.event)
	}
	return ""
}

// outcomeSeen adds an outcome to a story. A later outcome replaces an earlier one, with one exception: a confirmation
// replaces no cancellation and no failure, since these end an order for good. From an outcome on topic orders on, each new
// order of its partition must have one.
func (s *stories) outcomeSeen(st *story, t telling) {
	if t.is&endConfirmed == 0 || st.told&(endCancelled|endFailed) == 0 {
		st.outcome = t.outcome
	}
	if t.orders {
		s.begun[t.partition] = true
	}
}
