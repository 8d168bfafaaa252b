package domain

import (
	"cmp"
	"time"

	"pasdetrois/pkg/messages"
)

// Request is a request for the payment of an order.
type Request struct {
	OrderID string
	UserID  string
	Amount  messages.Money
	Method  string // "" = messages.DefaultPaymentMethod
	Outside bool   // it does not come from the orders service
}

// MethodOrDefault returns the payment method to charge.
func (r Request) MethodOrDefault() string {
	return cmp.Or(r.Method, messages.DefaultPaymentMethod)
}

// Answer is a provider's final answer to a charge: either PaymentID or Declined is set.
type Answer struct {
	PaymentID string // the money was taken, under this name
	Declined  string // it was not, for this reason: a stable snake_case code
}

// Settle returns the payment that the provider's answer makes of the request. Without a payment id no money was taken.
// The default reason is a declined card.
func (r Request) Settle(a Answer, now time.Time) Payment {
	switch {
	case a.PaymentID != "":
		return r.payment(Captured, "", a.PaymentID, now)
	case a.Declined != "":
		return r.payment(Failed, a.Declined, "", now)
	default:
		return r.payment(Failed, ReasonCardDeclined, "", now)
	}
}

// Suspect returns the payment that failed because of the fraud rule. The provider was not asked.
func (r Request) Suspect(now time.Time) Payment {
	return r.payment(Failed, ReasonSuspectedFraud, "", now)
}

func (r Request) payment(s Status, reason, paymentID string, now time.Time) Payment {
	return Payment{OrderID: r.OrderID, UserID: r.UserID, Amount: r.Amount, Method: r.MethodOrDefault(), Status: s,
		Reason: reason, PaymentID: paymentID, Outside: r.Outside, CreatedAt: now, UpdatedAt: now}
}

// Refund is a request for all money of an order, also if none was taken yet.
type Refund struct {
	OrderID string
	UserID  string
	Amount  messages.Money
	Reason  string
	Outside bool // it does not come from the orders service
}

// Tombstone returns the payment of an order whose refund was requested before its payment: a later request is never charged.
func (r Refund) Tombstone(now time.Time) Payment {
	return Payment{OrderID: r.OrderID, UserID: r.UserID, Amount: r.Amount, Status: Voided, Reason: r.Reason,
		Outside: r.Outside, CreatedAt: now, UpdatedAt: now}
}
