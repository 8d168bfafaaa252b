package domain

import (
	"cmp"
	"time"

	"pasdetrois/pkg/messages"
)

// lead takes the order from its status to that of the decisions, with the same methods and at the times of the decisions. It skips
// steps that the order has taken already.
func (f *facts) lead(o *Order, policy Policy) error {
	for _, step := range []func(*Order, Policy) error{f.reserve, f.confirm, f.callOff, f.noteCapture, f.end, f.comeLate} {
		if err := step(o, policy); err != nil {
			return err
		}
	}
	o.Nudges = 0
	return nil
}

// reserve repeats the order step.
func (f *facts) reserve(o *Order, policy Policy) error {
	switch {
	case o.Status != Pending:
	case f.ended[Rejected] != nil:
		return o.reject(f.ended[Rejected].Event.(messages.OrderRejected).Reason, f.ended[Rejected].Time)
	case f.requested != nil:
		return o.request(plenty(o.Lines), policy, f.requested.Time)
	}
	return nil
}

func (f *facts) confirm(o *Order, _ Policy) error {
	if o.Status != Pending && o.Status != AwaitingPayment {
		return nil
	}
	if f.ended[Confirmed] != nil {
		e := messages.PaymentCaptured{PaymentID: f.ended[Confirmed].Event.(messages.OrderConfirmed).PaymentID}
		_, err := o.confirm(e, plenty(o.Lines), f.ended[Confirmed].Time)
		return err
	}
	if i := f.capture(o); i >= 0 && f.said[Confirmed] != nil {
		_, err := o.confirm(f.told[i].Event.(messages.PaymentCaptured), plenty(o.Lines), f.said[Confirmed].Time)
		return err
	}
	return nil
}

// capture returns the index of the payment_captured that counts for the order, -1 when there is none: that of the payment which
// the decisions name, else the first one.
func (f *facts) capture(o *Order) int {
	first := -1
	for _, i := range f.captures {
		e := f.told[i].Event.(messages.PaymentCaptured)
		switch id := f.paymentID(); {
		case !o.IsPaidBy(e.UserID, e.Amount):
		case id != "" && e.PaymentID == id:
			return i
		case first < 0 && id == "":
			first = i
		}
	}
	return first
}

// paymentID returns the payment that the decisions name.
func (f *facts) paymentID() string {
	if f.ended[Confirmed] != nil {
		return f.ended[Confirmed].Event.(messages.OrderConfirmed).PaymentID
	}
	if f.ended[Cancelled] != nil {
		return f.ended[Cancelled].Event.(messages.OrderCancelled).PaymentID
	}
	if f.ended[Failed] != nil {
		return f.ended[Failed].Event.(messages.OrderFailed).PaymentID
	}
	return ""
}

// callOff repeats the refund_requested of an order that was called off.
func (f *facts) callOff(o *Order, policy Policy) error {
	if f.off == nil {
		return nil
	}
	return f.calledOff(o, f.off.Event.(messages.RefundRequested).Reason, f.off.Time, policy)
}

func (f *facts) calledOff(o *Order, reason string, at time.Time, policy Policy) error {
	if o.Status != Pending && o.Status != AwaitingPayment && o.Status != Confirmed {
		return nil
	}
	var err error
	switch reason {
	case ReasonPaymentTimeout:
		_, err = o.callOff(reason, TriggerTimeout, policy, at)
	case ReasonOutOfStock:
		e := messages.PaymentCaptured{PaymentID: f.paymentID()}
		if i := f.capture(o); i >= 0 {
			e = f.told[i].Event.(messages.PaymentCaptured)
		}
		_, err = o.fallShort(e, policy, at)
	case ReasonCancelled:
		_, err = o.callOff(reason, TriggerHTTP, policy, at)
	}
	return err
}

// noteCapture notes the payment of an order that was called off before it.
func (f *facts) noteCapture(o *Order, policy Policy) error {
	i := f.capture(o)
	if o.Status != Cancelling || o.PaymentID != "" || i < 0 || f.isParked(i) && f.paymentID() == "" {
		return nil
	}
	if ended, paid := f.endedPaid(); ended && !paid {
		return nil // it came after the end
	}
	if len(f.refunds) > 0 && f.refunds[0] < i {
		return nil // the payment of the refund is noted
	}
	_, err := o.Capture(f.told[i].Event.(messages.PaymentCaptured), nil, policy, later(o.UpdatedAt, f.told[i].Time))
	return err
}

// endedPaid reports whether the order was called off and has ended, and whether money went back.
func (f *facts) endedPaid() (ended, paid bool) {
	if f.ended[Cancelled] != nil || f.ended[Failed] != nil {
		return true, f.paymentID() != ""
	}
	if f.said[Cancelled] == nil && f.said[Failed] == nil {
		return false, false
	}
	for _, i := range f.refunds {
		paid = paid || f.told[i].Event.(messages.PaymentRefunded).Amount.Minor > 0
	}
	return true, paid && f.late == nil
}

// end repeats the end of the order.
func (f *facts) end(o *Order, policy Policy) error {
	switch {
	case o.Status.Settled() && o.Status != Confirmed:
		return nil
	case f.cancelledFromPending():
		_, err := o.Cancel(policy, cmp.Or(f.ended[Cancelled], f.said[Cancelled]).Time)
		return err
	case f.ended[Cancelled] != nil, f.said[Cancelled] != nil:
		reason := ReasonCancelled
		if f.ended[Cancelled] != nil {
			reason = f.ended[Cancelled].Event.(messages.OrderCancelled).Reason
		}
		return f.refund(o, reason, cmp.Or(f.ended[Cancelled], f.said[Cancelled]), policy)
	case f.ended[Failed] != nil:
		switch reason := f.ended[Failed].Event.(messages.OrderFailed).Reason; {
		case reason == ReasonOrderIDTaken && o.Status == Pending:
			return o.LoseID(f.ended[Failed].Time)
		default:
			return f.refund(o, reason, f.ended[Failed], policy)
		}
	case f.said[Failed] != nil && o.Status == Cancelling:
		return f.refund(o, o.Reason, f.said[Failed], policy)
	case f.said[Failed] != nil && o.Status != Confirmed:
		return f.fail(o)
	}
	return nil
}

// refund ends an order that was called off. The decision says whether money went back.
func (f *facts) refund(o *Order, reason string, end *messages.Message, policy Policy) error {
	if err := f.calledOff(o, reason, end.Time, policy); err != nil { // its refund_requested is in no topic any more
		return err
	}
	e := messages.PaymentRefunded{UserID: o.UserID}
	if _, paid := f.endedPaid(); paid || o.PaymentID != "" {
		e.Amount, e.PaymentID = o.Total, f.paymentID()
		for _, i := range f.refunds {
			if r := f.told[i].Event.(messages.PaymentRefunded); e.PaymentID == "" {
				e.PaymentID = r.PaymentID
			}
		}
	}
	_, err := o.Refund(e, plenty(o.Lines), end.Time)
	return err
}

// fail ends an order whose payment failed, at the time of its notification. Without the payment_failed the reason is not known,
// unless the id has a payment from outside that went back.
func (f *facts) fail(o *Order) error {
	for _, i := range f.failures {
		e := f.told[i].Event.(messages.PaymentFailed)
		if o.IsPaidBy(e.UserID, e.Total) {
			_, err := o.Fail(e, plenty(o.Lines), f.said[Failed].Time)
			return err
		}
	}
	if o.Status == Pending && len(f.refunds) > 0 {
		return o.LoseID(f.said[Failed].Time)
	}
	return nil
}

// comeLate repeats the refund of money that came after the end.
func (f *facts) comeLate(o *Order, policy Policy) error {
	if f.late == nil || !o.Status.Settled() || o.Status == Confirmed || o.PaymentID != "" {
		return nil
	}
	e := messages.PaymentCaptured{UserID: o.UserID, Amount: f.late.Event.(messages.RefundRequested).Amount}
	at := o.UpdatedAt
	for _, i := range f.captures {
		if c := f.told[i].Event.(messages.PaymentCaptured); o.IsPaidBy(c.UserID, c.Amount) {
			e, at = c, f.told[i].Time
			break
		}
	}
	for _, i := range f.refunds {
		if r := f.told[i].Event.(messages.PaymentRefunded); e.PaymentID == "" {
			e.PaymentID = r.PaymentID
		}
	}
	_, err := o.Capture(e, nil, policy, later(o.UpdatedAt, at))
	return err
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
