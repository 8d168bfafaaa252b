package app

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

// source is the service's name in its messages. The outbox keeps them encoded, so it is not left to the publisher.
const source = "orders"

// The steps that name decisions in message ids (messages.ID). They are part of the contract: another name would give a
// repetition another id. A notification's step is its kind, an outcome's step is the cause of the decision.
const (
	stepPlaced   = "placed"
	stepReserve  = "reserve"
	stepReject   = "reject"
	stepCancel   = "cancel"
	stepTimeout  = "timeout"
	stepShort    = "short"
	stepLateBack = "late"
)

// outputs returns the messages to publish when an order reaches its status. They follow from the order alone: made again while
// the order has the status, they are the same.
func outputs(o *domain.Order) []messages.Message {
	switch o.Status {
	case domain.Pending:
		return []messages.Message{message(o, stepPlaced, orderPlaced(o))}
	case domain.AwaitingPayment:
		return []messages.Message{message(o, stepReserve, messages.PaymentRequested{OrderID: o.ID, UserID: o.UserID,
			Amount: o.Total, Items: items(o), PaymentMethod: o.PaymentMethod, Step: o.DecidedBy})}
	case domain.Rejected:
		return []messages.Message{message(o, stepReject, orderRejected(o)),
			notification(o, messages.KindRejected, "Order %s was rejected: %s.", messages.Shown(o.ID), inWords(o.Reason))}
	case domain.Confirmed:
		return []messages.Message{outcome(o, messages.OrderConfirmed{OrderID: o.ID, UserID: o.UserID, Total: o.Total, Items: items(o),
			PaymentID: o.PaymentID, Step: o.DecidedBy}),
			notification(o, messages.KindConfirmed, "Order %s confirmed!", messages.Shown(o.ID))}
	case domain.Failed:
		email := notification(o, messages.KindFailed, "Order %s failed: %s.", messages.Shown(o.ID), inWords(o.Reason))
		if o.DecidedBy == messages.EventPaymentFailed { // payments published the outcome
			return []messages.Message{email}
		}
		return []messages.Message{outcome(o, messages.OrderFailed{OrderID: o.ID, UserID: o.UserID, Total: o.Total, Items: items(o),
			PaymentID: paymentAtEnd(o), Reason: o.Reason, Step: o.DecidedBy}), email}
	case domain.Cancelled:
		return []messages.Message{outcome(o, messages.OrderCancelled{OrderID: o.ID, UserID: o.UserID, Total: o.Total, Items: items(o),
			PaymentID: paymentAtEnd(o), Reason: o.Reason, Step: o.DecidedBy}),
			notification(o, messages.KindCancelled, "Order %s was cancelled.%s", messages.Shown(o.ID), moneyBackHint(o))}
	case domain.Cancelling:
		step := stepCancel
		switch o.Reason {
		case domain.ReasonPaymentTimeout:
			step = stepTimeout
		case domain.ReasonOutOfStock:
			step = stepShort
		}
		return []messages.Message{message(o, step, messages.RefundRequested{OrderID: o.ID, UserID: o.UserID,
			Amount: o.Total, Reason: o.Reason, Step: o.DecidedBy})}
	default:
		return nil
	}
}

// moneyBack requests the refund of money that came in after the order had ended without it.
func moneyBack(o *domain.Order, amount messages.Money) messages.Message {
	return message(o, stepLateBack, messages.RefundRequested{OrderID: o.ID, UserID: o.UserID, Amount: amount,
		Reason: "order_" + string(o.Status), Step: messages.EventPaymentCaptured})
}

func orderPlaced(o *domain.Order) messages.OrderPlaced {
	return messages.OrderPlaced{OrderID: o.ID, UserID: o.UserID, Total: o.Total, HasTotal: true, Items: items(o),
		PaymentMethod: o.PaymentMethod, Email: o.Email}
}

func orderRejected(o *domain.Order) messages.OrderRejected {
	return messages.OrderRejected{OrderID: o.ID, UserID: o.UserID, Total: o.Total, Items: items(o),
		PaymentMethod: o.PaymentMethod, Reason: o.Reason}
}

func items(o *domain.Order) []messages.Item {
	var items []messages.Item
	for _, l := range o.Lines {
		it := messages.Item{SKU: l.SKU, Quantity: l.Quantity}
		if l.UnitPrice.Currency != "" {
			it.UnitPrice = &l.UnitPrice
		}
		items = append(items, it)
	}
	return items
}

// inventoryChanged makes the message of a product. Its version names it, so the same change has the same id.
func inventoryChanged(p domain.Product, at time.Time, trace string) messages.Message {
	return messages.Message{ID: messages.ID(p.SKU, messages.EventInventoryChanged, strconv.FormatInt(p.Version, 10)), Source: source,
		Event: messages.InventoryChanged{SKU: p.SKU, Name: p.Name, Price: p.Price, Stocked: p.Stocked, Version: p.Version},
		Time:  at, TraceParent: trace}
}

func notification(o *domain.Order, kind, format string, args ...any) messages.Message {
	m := message(o, kind, messages.NotificationRequested{UserID: o.UserID, Message: fmt.Sprintf(format, args...),
		Channel: messages.ChannelEmail, OrderID: o.ID, Kind: kind, To: o.Email})
	m.OrderTime = o.CreatedAt
	return m
}

// outcome makes the message of an event about the outcome of the order.
func outcome(o *domain.Order, e messages.Event) messages.Message {
	m := message(o, o.DecidedBy, e)
	m.OrderTime = o.CreatedAt
	return m
}

func message(o *domain.Order, step string, e messages.Event) messages.Message {
	return messages.Message{ID: messages.ID(o.ID, e.EventName(), step), Source: source, Event: e, Time: o.StatusAt,
		TraceParent: o.TraceParent}
}

// paymentAtEnd returns the payment that the order had when it ended. A payment that came later does not count, so that a
// repetition publishes the same messages.
func paymentAtEnd(o *domain.Order) string {
	if o.LatePayment {
		return ""
	}
	return o.PaymentID
}

func moneyBackHint(o *domain.Order) string {
	if paymentAtEnd(o) == "" {
		return ""
	}
	return " Your payment of " + o.Total.String() + " was given back."
}

// reasonCode matches a reason that is a code, and may stand in our sentences.
var reasonCode = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// inWords makes a reason readable. A reason that is not a code is another processor's text, and is shown as foreign text.
func inWords(reason string) string {
	switch reason {
	case domain.ReasonUnknownSKU:
		return "it has an item that we do not sell"
	case domain.ReasonPaymentTimeout:
		return "the payment was not made in time"
	case domain.ReasonOrderIDTaken:
		return "its id belongs to another payment"
	}
	if !reasonCode.MatchString(reason) {
		return messages.Shown(reason)
	}
	return strings.ReplaceAll(reason, "_", " ")
}
