package domain

import (
	"slices"
	"strings"

	"pasdetrois/pkg/messages"
)

// Told is a message about the payment of an order, and its place in the topics.
type Told struct {
	messages.Message

	Topic     string
	Partition int32
	Offset    int64
}

// Folded is what becomes of a row when its messages are heard.
type Folded struct {
	Payment   Payment // as the row must be; Status "" = there is no payment
	Unknown   []Gap   // what neither the messages nor the row tell
	Undecided string  // why the service must read the messages again, "" when it need not
}

// Gap is one thing that is not known about a payment.
type Gap struct {
	Why string
	Do  string
}

// ReasonUnknown is the reason of a refunded payment whose refund_requested is in no topic any more.
const ReasonUnknown = "unknown"

// Fold returns the payment that the messages tell. The row is the payment that is stored, or the zero value.
//
//   - The first published decision wins over the row: payment_captured, payment_failed, or the payment_refunded over 0 of a
//     tombstone. A payment_refunded ends a captured payment.
//   - A row that is further than the messages stays: its answer is still to be published.
//   - What the messages do not tell, the row tells. What both do not tell is a Gap, and nothing is made up.
//   - A request without an answer is undecided. The service finds the row, so it neither charges nor refunds twice.
//
// Only messages of the payments service are decisions. The payment_failed and payment_refunded that answer an order whose id
// is taken are about another payment than the row, and change nothing.
func Fold(row Payment, told []Told) Folded {
	h := hear(told)
	p := h.complete(h.decision())
	switch same := row.Status != "" && row.UserID == p.UserID && row.PaymentID == p.PaymentID; {
	case p.Status == "", same && p.Status == Captured && row.Status == Refunded:
		p = row
	case same:
		p = p.completedBy(row)
	}
	if p.Status == Voided && p.Amount.Minor == 0 {
		if p.Amount.Minor = h.askedOf(p); p.Amount.Minor == 0 {
			return Folded{Payment: row, Unknown: []Gap{{
				Why: "a payment_refunded over 0 says that nothing may be charged, and no message has the amount",
				Do:  "send a refund_requested with the order's user and amount, before anything else is sent about the order"}}}
		}
	}
	f := Folded{Unknown: gaps(&p), Undecided: h.unanswered(p)}
	f.Payment = p
	return f
}

// completedBy fills what the messages do not tell from the row of the same payment.
func (p Payment) completedBy(row Payment) Payment {
	if p.Method == "" {
		p.Method = row.Method
	}
	if p.CreatedAt.IsZero() {
		p.CreatedAt = row.CreatedAt
	}
	if p.Status == row.Status && p.Reason == "" {
		p.Reason = row.Reason
	}
	if p.Amount.Minor == 0 {
		p.Amount = row.Amount
	}
	return p
}

// gaps lists what is not known, and fills in what the table needs.
func gaps(p *Payment) []Gap {
	var unknown []Gap
	if p.Status == "" {
		return nil
	}
	if p.Method == "" && p.Status != Voided {
		unknown = append(unknown, Gap{Why: "the payment method: no payment_requested is in the topics",
			Do: "nothing has to be done: it is for readers only, and the provider's statement has it"})
	}
	if p.CreatedAt.IsZero() || p.Status == Refunded && p.CreatedAt.Equal(p.UpdatedAt) {
		p.CreatedAt = p.UpdatedAt
		unknown = append(unknown, Gap{Why: "the time of the charge: no payment_captured is in the topics",
			Do: "nothing has to be done: the time of the refund stands for it, and the provider's statement has it"})
	}
	if (p.Status == Refunded || p.Status == Voided) && (p.Reason == "" || p.Reason == ReasonUnknown) {
		p.Reason = ReasonUnknown
		unknown = append(unknown, Gap{Why: "the reason of the refund: no refund_requested is in the topics",
			Do: "nothing has to be done: the order has the reason"})
	}
	return unknown
}

// decision returns the payment as the service's own messages tell it, without what only requests tell.
func (h heard) decision() Payment {
	switch first := earliest(h.captured, h.failed, h.voided); {
	case first != nil && first == h.captured, first == nil && h.refunded != nil:
		return h.taken()
	case first != nil && first == h.failed:
		e := first.Event.(messages.PaymentFailed)
		return Payment{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Total, Status: Failed, Reason: e.Reason,
			Outside: first.Outside, CreatedAt: first.Time, UpdatedAt: first.Time}
	case first != nil:
		e := first.Event.(messages.PaymentRefunded)
		return Payment{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Amount, Status: Voided,
			Outside: first.Outside, CreatedAt: first.Time, UpdatedAt: first.Time}
	}
	return Payment{}
}

// earliest returns the decision that was made first. The refund of a failed payment is answered with the time of the failure:
// at equal times the first argument counts.
func earliest(decisions ...*Told) *Told {
	decisions = slices.DeleteFunc(decisions, func(t *Told) bool { return t == nil })
	if len(decisions) == 0 {
		return nil
	}
	return slices.MinFunc(decisions, func(a, b *Told) int { return a.Time.Compare(b.Time) })
}

// taken returns the payment whose money was taken, and perhaps given back.
func (h heard) taken() Payment {
	var p Payment
	if h.captured != nil {
		e := h.captured.Event.(messages.PaymentCaptured)
		p = Payment{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Amount, PaymentID: e.PaymentID, Status: Captured,
			Outside: h.captured.Outside, CreatedAt: h.captured.Time, UpdatedAt: h.captured.Time}
	}
	if h.refunded != nil {
		e := h.refunded.Event.(messages.PaymentRefunded)
		if h.captured == nil {
			p = Payment{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Amount, PaymentID: e.PaymentID, Outside: h.refunded.Outside}
		}
		p.Status, p.UpdatedAt = Refunded, h.refunded.Time
	}
	return p
}

// complete adds to a decided payment what only requests tell. Of those that agree with it, the first one decided it.
func (h heard) complete(p Payment) Payment {
	for _, t := range h.requests {
		r := request(t)
		if p.Status != "" && p.Status != Voided && p.Method == "" && r.Outside == p.Outside && p.Agrees(r.UserID, r.Amount) == nil {
			p.Method = r.MethodOrDefault()
		}
	}
	for _, t := range h.refunds {
		r := refund(t)
		switch {
		case p.Reason != "":
		case p.Status == Refunded && p.Agrees(r.UserID, r.Amount) == nil:
			p.Reason = r.Reason
		case p.Status == Voided && r.UserID == p.UserID && r.Amount.Currency == p.Amount.Currency:
			p.Reason, p.Amount = r.Reason, r.Amount
		}
	}
	return p
}

// askedOf returns the amount of the first request for the payment of a tombstone's order, 0 without one.
func (h heard) askedOf(p Payment) int64 {
	for _, t := range h.requests {
		if r := request(t); r.UserID == p.UserID && r.Amount.Currency == p.Amount.Currency && r.Outside == p.Outside {
			return r.Amount.Minor
		}
	}
	return 0
}

// unanswered says which requests have no answer in the topics, "" when all have one. A request that contradicts the payment
// is parked, and needs none.
func (h heard) unanswered(p Payment) string {
	var missing []string
	want := func(answered bool, why string) {
		if !answered && !slices.Contains(missing, why) {
			missing = append(missing, why)
		}
	}
	for _, t := range h.requests {
		r := request(t)
		switch agrees := p.Agrees(r.UserID, r.Amount) == nil; {
		case p.Status == "":
			want(false, "payment_requested has no outcome")
		case !agrees && p.Outside && !r.Outside, agrees && !r.Outside && p.RefusesOrder(r.UserID, r.Amount) && h.afterRefund(t):
			want(h.requestRefused, "payment_requested of an order whose id is taken has no answer")
		case !agrees:
		case p.Status == Captured:
			want(h.captured != nil, "payment_captured is not published")
		case p.Status == Failed:
			want(h.failed != nil, "payment_failed is not published")
		}
	}
	for _, t := range h.refunds {
		r := refund(t)
		switch agrees := p.Agrees(r.UserID, r.Amount) == nil; {
		case p.Status == "":
			want(false, "refund_requested has no outcome")
		case !agrees && p.Outside && !r.Outside:
			want(h.refundUnpaid, "refund_requested of an order whose id is taken has no answer")
		case !agrees:
		case p.Status == Captured:
			want(false, "refund_requested has no outcome")
		case p.Status == Refunded:
			want(h.refunded != nil, "payment_refunded is not published")
		default:
			want(h.voided != nil, "payment_refunded is not published")
		}
	}
	return strings.Join(missing, "; ")
}

// afterRefund reports whether the service read the request after a refund of its order.
func (h heard) afterRefund(t Told) bool {
	return slices.ContainsFunc(h.refunds, func(r Told) bool { return r.before(t) })
}
