package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
)

// place commits a new order and its order_placed together, and returns the order's id.
func (o orders) place(ctx context.Context, userID string, items []messages.Item) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	placed := messages.OrderPlaced{OrderID: id.String(), UserID: userID, Items: items}
	err = o.transact(ctx, func(tx pgx.Tx) (out []messages.Message, err error) {
		if placed, err = o.insert(ctx, tx, placed); err != nil {
			return nil, err
		}
		return []messages.Message{orderMessage(placed, "placed", "")}, nil
	})
	return placed.OrderID, err
}

// onOrderPlaced reserves the stock of an order and requests its payment, or rejects the order. Only a pending
// order is touched, so a redelivered message has no effect.
func (o orders) onOrderPlaced(
	ctx context.Context, tx pgx.Tx, placed messages.OrderPlaced, m messages.Message,
) ([]messages.Message, error) {
	is, err := o.lock(ctx, tx, placed.OrderID)
	if errors.Is(err, pgx.ErrNoRows) { // from a foreign producer, not from place
		if _, err := o.insert(ctx, tx, placed); err != nil {
			return nil, err
		}
		is, err = o.lock(ctx, tx, placed.OrderID)
	}
	if err != nil {
		return nil, err
	}
	if is.status != "pending" {
		return nil, nil
	}
	reserved, err := o.reserve(ctx, tx, is.lines)
	if err != nil {
		return nil, err
	}
	if !reserved {
		if err := o.advance(ctx, tx, is, placed.EventName(), "rejected", "out_of_stock", ""); err != nil {
			return nil, err
		}
		rejected := messages.OrderRejected{OrderID: is.id, UserID: is.userID, Total: is.total, Items: is.lines, Reason: "out_of_stock"}
		return []messages.Message{orderMessage(rejected, "reject", m.TraceParent),
			notice(is, messages.KindRejected, "Order %s was rejected: out of stock.", m.TraceParent)}, nil
	}
	if err := o.advance(ctx, tx, is, placed.EventName(), "awaiting_payment", "", ""); err != nil {
		return nil, err
	}
	request := messages.PaymentRequested{OrderID: is.id, UserID: is.userID, Amount: is.total}
	return []messages.Message{orderMessage(request, "reserve", m.TraceParent)}, nil
}

// onPaymentCaptured confirms a paid order and books its pieces as sold. A confirmed order stays as it is.
// Another amount or status is an error.
func (o orders) onPaymentCaptured(
	ctx context.Context, tx pgx.Tx, captured messages.PaymentCaptured, m messages.Message,
) ([]messages.Message, error) {
	is, err := o.lock(ctx, tx, captured.OrderID)
	if err != nil {
		return nil, err
	}
	switch {
	case captured.Amount != is.total:
		return nil, fmt.Errorf("order %s: %w", is.id, errContradiction)
	case is.status == "confirmed":
		return nil, nil
	case is.status != "awaiting_payment":
		return nil, fmt.Errorf("order %s is %s: %w", is.id, is.status, errContradiction)
	}
	if err := o.move(ctx, tx, sellSQL, is.lines); err != nil {
		return nil, err
	}
	if err := o.advance(ctx, tx, is, captured.EventName(), "confirmed", "", captured.PaymentID); err != nil {
		return nil, err
	}
	return []messages.Message{notice(is, messages.KindConfirmed, "Order %s confirmed!", m.TraceParent)}, nil
}

// onPaymentFailed ends an order that could not be paid and releases its pieces.
func (o orders) onPaymentFailed(
	ctx context.Context, tx pgx.Tx, failed messages.PaymentFailed, m messages.Message,
) ([]messages.Message, error) {
	is, err := o.lock(ctx, tx, failed.OrderID)
	if err != nil {
		return nil, err
	}
	switch is.status {
	case "failed":
		return nil, nil
	case "awaiting_payment":
	default:
		return nil, fmt.Errorf("order %s is %s: %w", is.id, is.status, errContradiction)
	}
	if err := o.move(ctx, tx, releaseSQL, is.lines); err != nil {
		return nil, err
	}
	if err := o.advance(ctx, tx, is, failed.EventName(), "failed", failed.Reason, ""); err != nil {
		return nil, err
	}
	return []messages.Message{notice(is, messages.KindFailed, "Order %s failed: the payment was not possible.", m.TraceParent)}, nil
}

// orderMessage makes the id of a message from its decision, so that a repetition has the same id and is
// recognised.
func orderMessage(event messages.Event, step, traceParent string) messages.Message {
	return messages.Message{ID: messages.ID(event.Key(), event.EventName(), step), Event: event, TraceParent: traceParent}
}

// notice is the email that a transition of an order causes.
func notice(is order, kind, format, traceParent string) messages.Message {
	return orderMessage(messages.NotificationRequested{OrderID: is.id, UserID: is.userID, Kind: kind,
		Message: fmt.Sprintf(format, is.id), Channel: messages.ChannelEmail}, kind, traceParent)
}
