package domain

import (
	"errors"
	"fmt"
	"time"

	"pasdetrois/pkg/messages"
)

// Effect is the effect of a message on its order.
type Effect int

const (
	// NoEffect: no outputs. At most the timeline has a new entry.
	NoEffect Effect = iota
	// Moved: the order has a new status, whose outputs are published.
	Moved
	// Repeated: the order is still where this message led it. The same outputs are published again.
	Repeated
	// MoneyBack: money came in for an order that ended without it. Its refund is requested, also for a repetition.
	MoneyBack
)

// ErrNotCancellable means that the order was rejected or has failed.
var ErrNotCancellable = errors.New("the order cannot be cancelled any more")

// Reserve is the order step for a pending order. It reserves the pieces, all or none, and requests the payment; or it rejects the
// order.
func (o *Order) Reserve(stock Stock, policy Policy, now time.Time) error {
	reason := ""
	if len(stock.Missing(o.Lines)) > 0 {
		reason = ReasonUnknownSKU
	} else if stock.Short(o.Lines) != "" {
		reason = ReasonOutOfStock
	}
	if reason != "" {
		return o.reject(reason, now)
	}
	return o.request(stock, policy, now)
}

func (o *Order) reject(reason string, now time.Time) error {
	if err := o.move(Rejected, messages.EventOrderRejected, reason, messages.EventOrderPlaced, now); err != nil {
		return err
	}
	o.Reason = reason
	return nil
}

// request reserves the pieces, which stock must have, and requests the payment.
func (o *Order) request(stock Stock, policy Policy, now time.Time) error {
	detail := ""
	if len(o.Lines) > 0 {
		detail = "stock reserved"
	}
	if err := o.move(AwaitingPayment, messages.EventPaymentRequested, detail, messages.EventOrderPlaced, now); err != nil {
		return err
	}
	o.DueAt = now.Add(policy.PaymentTimeout)
	if len(o.Lines) > 0 {
		stock.reserve(o.Lines)
		o.Holds = HoldsReserved
	}
	return nil
}

// agrees checks the user and the amount of a message about a payment. An order that could not be priced has no amount to
// contradict.
func (o *Order) agrees(userID string, amount messages.Money) error {
	switch {
	case o.UserID != userID:
		return fmt.Errorf("order %s: the user of the message %w", o.ID, ErrContradiction)
	case o.Total.Minor != 0 && o.Total != amount:
		return fmt.Errorf("order %s: amount %s %w, which is over %s", o.ID, amount, ErrContradiction, o.Total)
	}
	return nil
}

// IsPaidBy reports whether a payment of the user over the amount is this order's.
func (o *Order) IsPaidBy(userID string, amount messages.Money) bool {
	return o.agrees(userID, amount) == nil
}

// Refunded returns the amount of the payment that a refund is about. A refund of 0 means that no money had been taken.
func (o *Order) Refunded(amount messages.Money) messages.Money {
	if amount.Minor == 0 {
		return o.Total
	}
	return amount
}

// Capture is payment_captured: the money was taken.
//
//	awaiting_payment            confirmed, the stock is sold
//	pending                     another producer requested the payment: reserved and confirmed in one step, or, when stock
//	                            is short, cancelling: its refund is requested
//	cancelling                  the payment is noted: its refund is on the way
//	confirmed                   a repetition, if it is the same payment
//	rejected, failed, cancelled its refund is requested: no money is kept for an order that ended without it
func (o *Order) Capture(e messages.PaymentCaptured, stock Stock, policy Policy, now time.Time) (Effect, error) {
	if err := o.agrees(e.UserID, e.Amount); err != nil {
		return NoEffect, err
	}
	if o.PaymentID != "" && o.PaymentID != e.PaymentID {
		return NoEffect, fmt.Errorf("order %s: payment %q %w, which was paid with %q", o.ID, e.PaymentID, ErrContradiction, o.PaymentID)
	}
	known := o.PaymentID != ""
	switch o.Status {
	case AwaitingPayment:
		return o.confirm(e, stock, now)
	case Pending:
		if stock.Short(o.Lines) != "" {
			return o.fallShort(e, policy, now)
		}
		return o.confirm(e, stock, now)
	case Confirmed:
		return Repeated, nil
	case Cancelling:
		switch {
		case !known:
			o.PaymentID = e.PaymentID
			o.note(messages.EventPaymentCaptured, "its refund is on the way", now)
			return NoEffect, nil
		case o.Reason == ReasonOutOfStock: // this message led here
			return Repeated, nil
		}
		return NoEffect, nil
	default:
		switch {
		case !known:
			o.PaymentID, o.LatePayment = e.PaymentID, true
			o.note(messages.EventRefundRequested, "paid after the order had ended", now)
			return MoneyBack, nil
		case o.LatePayment:
			return MoneyBack, nil
		}
		return NoEffect, nil
	}
}

// fallShort cancels a paid order whose pieces are not there.
func (o *Order) fallShort(e messages.PaymentCaptured, policy Policy, now time.Time) (Effect, error) {
	effect, err := o.callOff(ReasonOutOfStock, e.EventName(), policy, now)
	if err == nil {
		o.PaymentID = e.PaymentID
	}
	return effect, err
}

// confirm sells the order's pieces: the reserved ones, or, from pending, available ones.
func (o *Order) confirm(e messages.PaymentCaptured, stock Stock, now time.Time) (Effect, error) {
	if err := stock.known(o.Lines); err != nil {
		return NoEffect, err
	}
	if err := o.move(Confirmed, messages.EventPaymentCaptured, "payment "+e.PaymentID, e.EventName(), now); err != nil {
		return NoEffect, err
	}
	o.PaymentID = e.PaymentID
	if len(o.Lines) == 0 {
		return Moved, nil
	}
	if o.Holds == HoldsNone {
		stock.reserve(o.Lines)
	}
	stock.sell(o.Lines)
	o.Holds = HoldsSold
	return Moved, nil
}

// Fail is payment_failed: no money was taken, and the order fails with the reason given.
func (o *Order) Fail(e messages.PaymentFailed, stock Stock, now time.Time) (Effect, error) {
	if err := o.agrees(e.UserID, e.Total); err != nil {
		return NoEffect, err
	}
	switch o.Status {
	case Pending, AwaitingPayment:
		if err := o.giveBack(stock); err != nil {
			return NoEffect, err
		}
		if err := o.move(Failed, messages.EventPaymentFailed, e.Reason, e.EventName(), now); err != nil {
			return NoEffect, err
		}
		o.Reason = e.Reason
		return Moved, nil
	case Confirmed:
		return NoEffect, fmt.Errorf("order %s is paid, a failed payment %w", o.ID, ErrContradiction)
	case Failed:
		if o.Reason == e.Reason {
			return Repeated, nil
		}
	}
	return NoEffect, nil
}

// LoseID fails a pending order whose id has a payment that was requested from outside and given back: payments would refuse the
// order's own payment. The cause is the held payment_refunded.
func (o *Order) LoseID(now time.Time) error {
	if err := o.move(Failed, messages.EventPaymentFailed, ReasonOrderIDTaken, messages.EventPaymentRefunded, now); err != nil {
		return err
	}
	o.Reason = ReasonOrderIDTaken
	return nil
}

// Refund is payment_refunded: no money is kept for the order, and payments never charges it again.
//
//	cancelling                  the order ends: cancelled, or failed when its user did not cancel it
//	pending, awaiting_payment,  cancelled, because the order would be fulfilled without money, or wait for a payment that
//	confirmed                   cannot come. A confirmed order must have been paid with this payment
//	rejected, failed, cancelled a repetition, or the answer to a request of money that came late
func (o *Order) Refund(e messages.PaymentRefunded, stock Stock, now time.Time) (Effect, error) {
	if err := o.agrees(e.UserID, o.Refunded(e.Amount)); err != nil {
		return NoEffect, err
	}
	switch o.Status {
	case Cancelling:
		// A refund of nothing contradicts a payment that was captured.
		if e.Amount.Minor == 0 && o.PaymentID != "" {
			return NoEffect, fmt.Errorf("order %s was paid with %q, a refund of nothing %w", o.ID, o.PaymentID, ErrContradiction)
		}
		to := Cancelled
		if o.Reason == ReasonPaymentTimeout || o.Reason == ReasonOutOfStock {
			to = Failed
		}
		if err := o.giveBack(stock); err != nil {
			return NoEffect, err
		}
		if err := o.move(to, messages.EventPaymentRefunded, o.Reason, e.EventName(), now); err != nil {
			return NoEffect, err
		}
		if o.PaymentID == "" {
			o.PaymentID = e.PaymentID
		}
		return Moved, nil
	case Pending, AwaitingPayment, Confirmed:
		return o.losePayment(e, stock, now)
	default:
		if late := o.LatePayment && e.Amount.Minor > 0; o.DecidedBy == e.EventName() && !late {
			return Repeated, nil
		}
		return NoEffect, nil
	}
}

// losePayment cancels an open or confirmed order whose payment was given back or voided. This service did not request it: its
// database was put back to an earlier moment, or another program wrote the request. A confirmed order and the refund must agree
// on the payment.
func (o *Order) losePayment(e messages.PaymentRefunded, stock Stock, now time.Time) (Effect, error) {
	if o.Status == Confirmed && (e.Amount.Minor == 0 || e.PaymentID != o.PaymentID) {
		return NoEffect, fmt.Errorf("order %s was paid with %q, a refund of %s of payment %q %w", o.ID, o.PaymentID, e.Amount, e.PaymentID, ErrContradiction)
	}
	if err := o.giveBack(stock); err != nil {
		return NoEffect, err
	}
	if err := o.move(Cancelled, messages.EventPaymentRefunded, ReasonPaymentRefunded, e.EventName(), now); err != nil {
		return NoEffect, err
	}
	o.Reason, o.PaymentID = ReasonPaymentRefunded, e.PaymentID
	return Moved, nil
}

// Cancel cancels the order for its user. A pending order is cancelled at once. An order whose payment was requested waits for
// payment_refunded. A repetition has no effect. An order that was rejected or has failed returns ErrNotCancellable.
func (o *Order) Cancel(policy Policy, now time.Time) (Effect, error) {
	switch o.Status {
	case Pending:
		if err := o.move(Cancelled, messages.EventOrderCancelled, ReasonCancelled, TriggerHTTP, now); err != nil {
			return NoEffect, err
		}
		o.Reason = ReasonCancelled
		return Moved, nil
	case AwaitingPayment, Confirmed:
		return o.callOff(ReasonCancelled, TriggerHTTP, policy, now)
	case Cancelling, Cancelled:
		return NoEffect, nil
	default:
		return NoEffect, fmt.Errorf("order %s is %s: %w", o.ID, o.Status, ErrNotCancellable)
	}
}

// Expire cancels an order whose payment stayed open for too long. It has no effect on an order that is not due.
func (o *Order) Expire(policy Policy, now time.Time) (Effect, error) {
	if o.Status != AwaitingPayment || o.DueAt.After(now) {
		return NoEffect, nil
	}
	return o.callOff(ReasonPaymentTimeout, TriggerTimeout, policy, now)
}

func (o *Order) callOff(reason, by string, policy Policy, now time.Time) (Effect, error) {
	if err := o.move(Cancelling, messages.EventRefundRequested, reason, by, now); err != nil {
		return NoEffect, err
	}
	o.Reason = reason
	o.DueAt = now.Add(policy.RepublishAfter)
	return Moved, nil
}
