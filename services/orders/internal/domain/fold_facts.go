package domain

import (
	"slices"
	"strings"

	"pasdetrois/pkg/messages"
)

// facts are the messages about one order, each where it counts. Of two messages that say the same the first one counts.
type facts struct {
	told   []messages.Message
	parked []int // indexes of those that are dead letters

	// Of the orders service.
	own       *messages.Message            // its order_placed: the order was placed over HTTP
	requested *messages.Message            // payment_requested
	off       *messages.Message            // refund_requested that called the order off
	late      *messages.Message            // refund_requested for money that came after the end
	ended     map[Status]*messages.Message // order_rejected, order_confirmed, order_cancelled, order_failed
	said      map[Status]*messages.Message // the notifications about the same
	decided   bool                         // there is one of these

	// Of everybody: indexes into told.
	placed, captures, failures, refunds []int
}

// lateReason begins the reason of a refund_requested for money that came after the order had ended.
const lateReason = "order_"

// hear sorts the messages.
func hear(told []messages.Message, parked []int) *facts {
	f := &facts{told: told, parked: parked, ended: map[Status]*messages.Message{}, said: map[Status]*messages.Message{}}
	first := func(at **messages.Message, m *messages.Message) {
		if *at == nil && m.Source == messages.ServiceOrders {
			*at, f.decided = m, true
		}
	}
	end := func(ends map[Status]*messages.Message, status Status, m *messages.Message) {
		if ends[status] == nil && m.Source == messages.ServiceOrders {
			ends[status], f.decided = m, true
		}
	}
	for i := range told {
		m := &told[i]
		switch e := m.Event.(type) {
		case messages.OrderPlaced:
			f.placed = append(f.placed, i)
			first(&f.own, m)
		case messages.OrderRejected:
			end(f.ended, Rejected, m)
		case messages.PaymentRequested:
			first(&f.requested, m)
		case messages.OrderConfirmed:
			end(f.ended, Confirmed, m)
		case messages.OrderCancelled:
			end(f.ended, Cancelled, m)
		case messages.OrderFailed:
			end(f.ended, Failed, m)
		case messages.RefundRequested:
			if strings.HasPrefix(e.Reason, lateReason) {
				first(&f.late, m)
			} else {
				first(&f.off, m)
			}
		case messages.NotificationRequested:
			if messages.Settled(e.Kind) {
				end(f.said, Status(e.Kind), m)
			}
		case messages.PaymentCaptured:
			f.captures = append(f.captures, i)
		case messages.PaymentFailed:
			f.failures = append(f.failures, i)
		case messages.PaymentRefunded:
			f.refunds = append(f.refunds, i)
		}
	}
	return f
}

func (f *facts) isParked(i int) bool { return slices.Contains(f.parked, i) }

// notParked returns those of the indexes whose messages are no dead letters.
func (f *facts) notParked(list []int) (rest []int) {
	for _, i := range list {
		if !f.isParked(i) {
			rest = append(rest, i)
		}
	}
	return rest
}

// Tells reports whether Fold needs the message to know an order.
func Tells(m messages.Message) bool {
	switch e := m.Event.(type) {
	case messages.OrderPlaced, messages.PaymentCaptured, messages.PaymentFailed, messages.PaymentRefunded:
		return true
	case messages.PaymentRequested, messages.RefundRequested, messages.OrderConfirmed, messages.OrderRejected,
		messages.OrderCancelled, messages.OrderFailed:
		return m.Source == messages.ServiceOrders
	case messages.NotificationRequested:
		return m.Source == messages.ServiceOrders && e.OrderID != ""
	}
	return false
}

// plan drops decisions that another decision excludes. Topics have both after the database was put back and the service decided
// anew.
func (f *facts) plan() {
	switch {
	case f.ended[Rejected] != nil:
		f.drop(Confirmed, Cancelled, Failed)
		f.requested, f.off = nil, nil
	case f.cancelledFromPending():
		f.drop(Confirmed, Failed)
		f.requested, f.off = nil, nil
	case f.has(Cancelled):
		f.drop(Failed)
	}
	// An order that ended so had no request of orders: a refund_requested beside it is of a time that a restored backup did not know.
	if end := f.ended[Cancelled]; end != nil && end.Event.(messages.OrderCancelled).Reason == ReasonPaymentRefunded {
		f.off = nil
	}
	if f.off == nil {
		return
	}
	for _, ends := range []map[Status]*messages.Message{f.ended, f.said} {
		// Only a user calls a confirmed order off.
		if paid := ends[Confirmed]; paid != nil && (f.off.Event.(messages.RefundRequested).Reason != ReasonCancelled || f.off.Time.Before(paid.Time)) {
			delete(ends, Confirmed)
		}
	}
}

// has reports whether the orders service published the status: as the outcome, or as the notification of it.
func (f *facts) has(s Status) bool { return f.ended[s] != nil || f.said[s] != nil }

func (f *facts) drop(statuses ...Status) {
	for _, s := range statuses {
		delete(f.ended, s)
		delete(f.said, s)
	}
}

// cancelledFromPending reports whether a user cancelled the order before its step. A version without outcomes published only the
// notification then.
func (f *facts) cancelledFromPending() bool {
	if f.ended[Cancelled] != nil {
		return f.ended[Cancelled].Event.(messages.OrderCancelled).Step == TriggerHTTP
	}
	return f.said[Cancelled] != nil && f.off == nil && f.requested == nil && len(f.refunds) == 0
}

// status returns the status of the decisions, by precedence; "" when there is none.
func (f *facts) status() Status {
	switch {
	case f.has(Rejected):
		return Rejected
	case f.has(Cancelled):
		return Cancelled
	case f.has(Failed):
		return Failed
	case f.off != nil:
		return Cancelling
	case f.has(Confirmed):
		return Confirmed
	case f.requested != nil:
		return AwaitingPayment
	case f.own != nil:
		return Pending
	}
	return ""
}

// incomplete reports whether a step between the order's placement and its status is in no topic any more. The row then has the
// better timeline.
func (f *facts) incomplete() bool {
	outside := false
	for _, i := range f.captures {
		outside = outside || f.told[i].Outside
	}
	for _, i := range f.refunds {
		outside = outside || f.told[i].Outside
	}
	var reason string // of the refund_requested that there must have been
	switch {
	case f.cancelledFromPending():
	case f.ended[Cancelled] != nil:
		reason = f.ended[Cancelled].Event.(messages.OrderCancelled).Reason
	case f.said[Cancelled] != nil:
		reason = ReasonCancelled
	case f.ended[Failed] != nil:
		reason = f.ended[Failed].Event.(messages.OrderFailed).Reason
	}
	if f.off == nil && (reason == ReasonCancelled || reason == ReasonPaymentTimeout || reason == ReasonOutOfStock) {
		return true
	}
	paid := f.has(Confirmed) || f.off != nil && f.off.Event.(messages.RefundRequested).Reason != ReasonOutOfStock
	return paid && f.requested == nil && !outside
}

// leadsTo reports whether an order can come from s to the other status, or is there.
func (s Status) leadsTo(to Status) bool {
	if s == to {
		return true
	}
	for _, next := range s.Next() {
		if next.leadsTo(to) {
			return true
		}
	}
	return false
}
