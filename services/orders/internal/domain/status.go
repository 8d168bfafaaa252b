package domain

import (
	"slices"

	"pasdetrois/pkg/messages"
)

// Status is where an order stands. The table's CHECK order_status has the same set, and every UPDATE names the status
// that it expects.
type Status string

const (
	// Pending orders were accepted over HTTP; their order_placed has not been through the order step yet.
	Pending Status = "pending"
	// AwaitingPayment orders have their stock reserved and their payment asked for.
	AwaitingPayment Status = "awaiting_payment"
	// Confirmed orders are paid and their stock is sold.
	Confirmed Status = "confirmed"
	// Rejected orders could not be had: out of stock, or nothing we sell. No money was asked for.
	Rejected Status = "rejected"
	// Failed orders were not paid, or could not be kept although they were; no money of theirs is with us.
	Failed Status = "failed"
	// Cancelling orders wait for payments to say that no money is kept.
	Cancelling Status = "cancelling"
	// Cancelled orders were called off by their user.
	Cancelled Status = "cancelled"
)

// Statuses lists every Status.
func Statuses() []Status {
	return []Status{Pending, AwaitingPayment, Confirmed, Rejected, Failed, Cancelling, Cancelled}
}

// Next is the transition table: the statuses that may follow s. "" stands for an order that does not exist yet.
//
// An order that is confirmed, failed or cancelling directly from pending met a payment that somebody else had asked for.
func (s Status) Next() []Status {
	switch s {
	case "":
		return []Status{Pending}
	case Pending:
		return []Status{AwaitingPayment, Rejected, Cancelled, Confirmed, Cancelling, Failed}
	case AwaitingPayment:
		return []Status{Confirmed, Failed, Cancelling}
	case Confirmed:
		return []Status{Cancelling}
	case Cancelling:
		return []Status{Cancelled, Failed}
	default:
		return nil
	}
}

// CanBecome reports whether to may follow s.
func (s Status) CanBecome(to Status) bool { return slices.Contains(s.Next(), to) }

// Settled reports whether nothing more happens to the order by itself.
func (s Status) Settled() bool { return messages.Settled(string(s)) }

// Valid reports whether s is one of Statuses.
func (s Status) Valid() bool { return slices.Contains(Statuses(), s) }

// Holding is what an order holds of the stock it is about. The table's CHECK order_stock has the same set.
type Holding string

const (
	// HoldsNone: nothing taken yet, given back, or an order without items.
	HoldsNone Holding = "none"
	// HoldsReserved: its pieces are set aside.
	HoldsReserved Holding = "reserved"
	// HoldsSold: its pieces are sold.
	HoldsSold Holding = "sold"
)

// The reasons that orders end with, other than those that payments gives for a failed payment.
const (
	ReasonOutOfStock     = "out_of_stock"
	ReasonUnknownSKU     = "unknown_sku"
	ReasonPaymentTimeout = "payment_timeout"
	// ReasonOrderIDTaken is payments' reason: another payment, which was asked for from outside, has the order's id.
	ReasonOrderIDTaken = "order_id_taken"
	ReasonCancelled    = "cancelled_by_user"
)
