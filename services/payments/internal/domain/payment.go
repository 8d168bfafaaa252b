// Package domain holds the rules of payments: the states of a payment, the first decision about an order, and which messages
// contradict it. It has no database, broker or provider.
package domain

import (
	"errors"
	"fmt"
	"time"

	"pasdetrois/pkg/messages"
)

// Status is the state of an order's payment. The table's CHECK payment_status has the same set.
//
//	(none) -> captured -> refunded
//	(none) -> failed
//	(none) -> voided (a tombstone)
//
// The first decision about an order stays, except that captured money can be given back. Failed, refunded and voided are
// final.
type Status string

const (
	// Captured means that the provider took the money.
	Captured Status = "captured"
	// Failed means that no money was taken: declined, or suspected of fraud.
	Failed Status = "failed"
	// Refunded means that all of it was given back.
	Refunded Status = "refunded"
	// Voided is the tombstone of a refund that was requested before the payment: the order is never charged.
	Voided Status = "voided"
)

// What is left of a payment that retention removed: no row, user or amount. It was final, or captured for longer than its order
// could be open, so its order is never charged again.
const (
	// Removed means that no money was kept.
	Removed Status = "removed"
	// RemovedCaptured means that the money was kept. It can be given back with the provider only.
	RemovedCaptured Status = "removed_captured"
)

// IsRemoved reports whether retention removed the payment.
func (s Status) IsRemoved() bool { return s == Removed || s == RemovedCaptured }

// Statuses lists every Status of a row.
func Statuses() []Status { return []Status{Captured, Failed, Refunded, Voided} }

// The reasons of a failed payment that are this service's own or the contract's. A provider may have others.
const (
	ReasonSuspectedFraud       = "suspected_fraud"
	ReasonCardDeclined         = "card_declined"
	ReasonInsufficientFunds    = "insufficient_funds"
	ReasonUnknownPaymentMethod = "unknown_payment_method"
	ReasonOrderIDTaken         = "order_id_taken" // by a payment that was requested from outside
)

// Payment is the payment of one order.
type Payment struct {
	OrderID   string
	UserID    string
	Amount    messages.Money // of the payment request; of a tombstone, of the refund request
	Method    string         // "" on a tombstone
	Status    Status
	Reason    string // why it failed, was refunded or voided; "" while captured
	PaymentID string // the provider's name for the charge; "" when no money was taken
	// Outside says that the first request came from a producer other than the orders service. There may be no such order.
	Outside   bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Errors of this package. Callers ask with errors.Is.
var (
	// ErrContradiction means that a message contradicts its order's payment: another user, amount or currency.
	ErrContradiction = errors.New("contradicts the payment")
	// ErrNotCaptured means that no money was taken, or that it was given back already.
	ErrNotCaptured = errors.New("the payment is not captured")
)

// Agrees returns nil when the payment is about the same user and money, else an error wrapping ErrContradiction. The
// payment method does not count: two producers that request one payment may have different defaults.
func (p Payment) Agrees(userID string, amount messages.Money) error {
	switch {
	case p.UserID != userID:
		return fmt.Errorf("order %s: the user of the message %w", p.OrderID, ErrContradiction)
	case p.Amount != amount:
		return fmt.Errorf("order %s: amount %s %w, which is of %s", p.OrderID, amount, ErrContradiction, p.Amount)
	}
	return nil
}

// RefusesOrder reports whether the order cannot be paid because of this payment: it was requested from outside, and has another
// user or amount, or has ended. The order must then fail, because an order id is charged once.
func (p Payment) RefusesOrder(userID string, amount messages.Money) bool {
	return p.Outside && (p.Agrees(userID, amount) != nil || p.Status == Refunded || p.Status == Voided)
}

// KeepsNoMoney reports whether the provider must hold no money for the order, now and for ever. A charge that it still holds
// slipped through a race or a crash, and must be given back.
func (p Payment) KeepsNoMoney() bool { return p.Status == Failed || p.Status == Voided }

// Refund returns the payment after all of the money was given back, or ErrNotCaptured.
func (p Payment) Refund(reason string, now time.Time) (Payment, error) {
	if p.Status != Captured {
		return Payment{}, fmt.Errorf("order %s is %s: %w", p.OrderID, p.Status, ErrNotCaptured)
	}
	p.Status, p.Reason, p.UpdatedAt = Refunded, reason, now
	return p, nil
}
