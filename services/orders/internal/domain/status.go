package domain

import (
	"slices"

	"pasdetrois/pkg/messages"
)

// Status is the state of an order. The table's CHECK order_status has the same set, and each UPDATE names the status that it
// expects. Next has all transitions; these are the usual ones:
//
//	(none) -> pending -> awaiting_payment -> confirmed
//	             |            |   |             |
//	             |            |   `-> failed    |   (payment_failed)
//	             |            v                 v
//	             |          cancelling <--------'   (cancelled by the user, or the payment timed out)
//	             |            |   `-> failed        (payment_refunded, after a time-out or short stock)
//	             v            v
//	          rejected     cancelled                (payment_refunded)
//
// A payment_refunded that this service did not request cancels an order that is pending, awaiting_payment or confirmed at once.
type Status string

const (
	// Pending orders were taken over HTTP; the order step has not handled their order_placed yet.
	Pending Status = "pending"
	// AwaitingPayment orders have their stock reserved and their payment requested.
	AwaitingPayment Status = "awaiting_payment"
	// Confirmed orders are paid and their stock is sold.
	Confirmed Status = "confirmed"
	// Rejected orders could not be supplied: out of stock, or an unknown sku. No payment was requested.
	Rejected Status = "rejected"
	// Failed orders were not paid, or could not be supplied after payment. No money is kept.
	Failed Status = "failed"
	// Cancelling orders wait for payment_refunded: no money is kept.
	Cancelling Status = "cancelling"
	// Cancelled orders were cancelled by their user, or their payment was given back without a request of this service.
	Cancelled Status = "cancelled"
)

// Statuses lists every Status.
func Statuses() []Status {
	return []Status{Pending, AwaitingPayment, Confirmed, Rejected, Failed, Cancelling, Cancelled}
}

// Next is the transition table: the statuses that may follow s. "" stands for an order that does not exist yet.
//
// An order goes from pending directly to confirmed, failed or cancelling when another producer had requested its payment.
func (s Status) Next() []Status {
	switch s {
	case "":
		return []Status{Pending}
	case Pending:
		return []Status{AwaitingPayment, Rejected, Cancelled, Confirmed, Cancelling, Failed}
	case AwaitingPayment:
		return []Status{Confirmed, Failed, Cancelling, Cancelled}
	case Confirmed:
		return []Status{Cancelling, Cancelled}
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

// Holding is the stock that an order holds. The table's CHECK order_stock has the same set.
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
	// ReasonOrderIDTaken is payments' reason: another payment, requested from outside, has the order's id.
	ReasonOrderIDTaken = "order_id_taken"
	ReasonCancelled    = "cancelled_by_user"
	// ReasonPaymentRefunded: payments gave the money back, or voided the payment, and this service has no request for it.
	ReasonPaymentRefunded = "payment_refunded"
)
