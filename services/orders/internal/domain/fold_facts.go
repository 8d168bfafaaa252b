package domain

import (
	"strings"

	"pasdetrois/pkg/messages"
)

// facts are the messages about one order, each where it counts. Of two messages that say the same the first one counts.
type facts struct {
	told []messages.Message

	// Of the orders service.
	own       *messages.Message // its order_placed: the order was placed over HTTP
	rejected  *messages.Message
	requested *messages.Message // payment_requested
	confirmed *messages.Message
	off       *messages.Message // refund_requested that called the order off
	late      *messages.Message // refund_requested for money that came after the end
	cancelled *messages.Message
	failed    *messages.Message

	saidConfirmed, saidCancelled, saidFailed, saidRejected *messages.Message // notifications

	// Of everybody: indexes into told.
	placed, captures, failures, refunds []int
}

// lateReason begins the reason of a refund_requested for money that came after the order had ended.
const lateReason = "order_"

// hear sorts the messages.
func hear(told []messages.Message) *facts {
	f := &facts{told: told}
	first := func(at **messages.Message, m *messages.Message) {
		if *at == nil && m.Source == messages.ServiceOrders {
			*at = m
		}
	}
	for i := range told {
		m := &told[i]
		switch e := m.Event.(type) {
		case messages.OrderPlaced:
			f.placed = append(f.placed, i)
			first(&f.own, m)
		case messages.OrderRejected:
			first(&f.rejected, m)
		case messages.PaymentRequested:
			first(&f.requested, m)
		case messages.OrderConfirmed:
			first(&f.confirmed, m)
		case messages.OrderCancelled:
			first(&f.cancelled, m)
		case messages.OrderFailed:
			first(&f.failed, m)
		case messages.RefundRequested:
			if strings.HasPrefix(e.Reason, lateReason) {
				first(&f.late, m)
			} else {
				first(&f.off, m)
			}
		case messages.NotificationRequested:
			switch e.Kind {
			case messages.KindConfirmed:
				first(&f.saidConfirmed, m)
			case messages.KindCancelled:
				first(&f.saidCancelled, m)
			case messages.KindFailed:
				first(&f.saidFailed, m)
			case messages.KindRejected:
				first(&f.saidRejected, m)
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
// anew. A rejected order takes no other step in any case.
func (f *facts) plan() {
	switch {
	case f.cancelledFromPending():
		f.requested, f.confirmed, f.saidConfirmed, f.off, f.failed, f.saidFailed = nil, nil, nil, nil, nil, nil
	case f.cancelled != nil, f.saidCancelled != nil:
		f.failed, f.saidFailed = nil, nil
	}
	if f.off == nil {
		return
	}
	for _, paid := range []**messages.Message{&f.confirmed, &f.saidConfirmed} {
		// Only a user calls a confirmed order off.
		if *paid != nil && (f.off.Event.(messages.RefundRequested).Reason != ReasonCancelled || f.off.Time.Before((*paid).Time)) {
			*paid = nil
		}
	}
}

// cancelledFromPending reports whether a user cancelled the order before its step. A version without outcomes published only the
// notification then.
func (f *facts) cancelledFromPending() bool {
	if f.cancelled != nil {
		return f.cancelled.Event.(messages.OrderCancelled).Step == TriggerHTTP
	}
	return f.saidCancelled != nil && f.off == nil && f.requested == nil && len(f.refunds) == 0
}

// decided reports whether the orders service has published anything about the order.
func (f *facts) decided() bool {
	for _, m := range []*messages.Message{f.own, f.rejected, f.requested, f.confirmed, f.off, f.late, f.cancelled, f.failed,
		f.saidConfirmed, f.saidCancelled, f.saidFailed, f.saidRejected} {
		if m != nil {
			return true
		}
	}
	return false
}

// status returns the status of the decisions, by precedence; "" when there is none.
func (f *facts) status() Status {
	switch {
	case f.rejected != nil, f.saidRejected != nil:
		return Rejected
	case f.cancelled != nil, f.saidCancelled != nil:
		return Cancelled
	case f.failed != nil, f.saidFailed != nil:
		return Failed
	case f.off != nil:
		return Cancelling
	case f.confirmed != nil, f.saidConfirmed != nil:
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
	case f.cancelled != nil:
		reason = f.cancelled.Event.(messages.OrderCancelled).Reason
	case f.saidCancelled != nil:
		reason = ReasonCancelled
	case f.failed != nil:
		reason = f.failed.Event.(messages.OrderFailed).Reason
	}
	if f.off == nil && (reason == ReasonCancelled || reason == ReasonPaymentTimeout || reason == ReasonOutOfStock) {
		return true
	}
	paid := f.confirmed != nil || f.saidConfirmed != nil || f.off != nil && f.off.Event.(messages.RefundRequested).Reason != ReasonOutOfStock
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
