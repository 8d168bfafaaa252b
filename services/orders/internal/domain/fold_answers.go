package domain

import (
	"slices"
	"time"

	"pasdetrois/pkg/messages"
)

// answer applies the first answer of payments about which the service has published nothing. A service that was killed between
// its commit and Kafka has shown the outcome over HTTP, and no timer or cancellation may lead the order elsewhere now. The
// service reads the answer again: it is a repetition then, so its outputs are published.
//
//	payment_failed     the order fails with its reason
//	payment_captured   an order that waits for it is confirmed; of one that ended without it the money goes back
//	payment_refunded   the order ends
//
// A payment_captured or payment_refunded of a pending order is not applied: the stock or the order step decides. Later answers
// are left to the service too, so that it publishes each outcome.
func (folded *Folded) answer(f *facts, policy Policy) {
	o := folded.Order
	folded.published = o
	for i, m := range f.told {
		if _, failed := m.Event.(messages.PaymentFailed); o.Status == Pending && !failed || f.isParked(i) || f.isDropped(&o, i) {
			continue
		}
		if after, outcome, _ := o.handle(m, policy, later(o.UpdatedAt, m.Time)); outcome { // judge lists those that contradict
			folded.Order, folded.answered = after, true
			folded.Open, folded.Again = noOutcome(m.Event.EventName()), []int{i}
			return
		}
	}
}

// judge sets Open and Refused: it asks what the service would do if it read the messages of others again.
func (folded *Folded) judge(f *facts, policy Policy) {
	o := &folded.Order
	placed := f.notParked(f.placed)
	if o.Status == Pending && (len(placed) > 0 || len(f.placed) == 0) {
		folded.Open, folded.Again = noOutcome(messages.EventOrderPlaced), placed
	}
	for _, i := range placed {
		m := f.told[i]
		if o.Same(PlacementOf(m.Event.(messages.OrderPlaced), "")) != nil {
			folded.Refused = append(folded.Refused, i)
		}
	}
	for _, list := range [][]int{f.captures, f.failures, f.refunds} {
		for _, i := range f.notParked(list) {
			if f.isDropped(o, i) {
				continue
			}
			m := f.told[i]
			switch _, outcome, err := o.handle(m, policy, m.Time); {
			case err != nil:
				folded.Refused = append(folded.Refused, i)
			case outcome:
				folded.Open, folded.Again = noOutcome(m.Event.EventName()), append(folded.Again, i)
			}
		}
	}
}

func noOutcome(event string) string { return event + " has no outcome" }

// isDropped reports whether the service drops a message about a payment from outside, because it is not about the order.
func (f *facts) isDropped(o *Order, i int) bool {
	return f.told[i].Outside && (!f.isPaidBy(o, i) || o.Reason == ReasonOrderIDTaken)
}

// handle handles a message about the payment of a copy of the order. The message has an outcome when it leads the order to a new
// status, or to a refund that was not requested before.
func (o Order) handle(m messages.Message, policy Policy, at time.Time) (after Order, outcome bool, err error) {
	after = o
	after.Changes = slices.Clone(o.Changes)
	stock, effect := plenty(o.Lines), NoEffect
	switch e := m.Event.(type) {
	case messages.PaymentCaptured:
		effect, err = after.Capture(e, stock, policy, at)
	case messages.PaymentFailed:
		effect, err = after.Fail(e, stock, at)
	case messages.PaymentRefunded:
		effect, err = after.Refund(e, stock, at)
	}
	return after, err == nil && (effect == Moved || effect == MoneyBack && !o.LatePayment), err
}

// isPaidBy reports whether a message about a payment is about the payment of the order.
func (f *facts) isPaidBy(o *Order, i int) bool {
	switch e := f.told[i].Event.(type) {
	case messages.PaymentCaptured:
		return o.IsPaidBy(e.UserID, e.Amount)
	case messages.PaymentFailed:
		return o.IsPaidBy(e.UserID, e.Total)
	case messages.PaymentRefunded:
		return o.IsPaidBy(e.UserID, o.Refunded(e.Amount))
	}
	return false
}
