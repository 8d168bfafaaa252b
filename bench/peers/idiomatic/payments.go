package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
)

// payments is the service that charges. The provider is a table.
type payments struct{ *service }

// fraudLimit is the amount in cents above which a payment is not charged.
const fraudLimit = 900_00

const (
	paymentSQL = `SELECT amount_minor, currency FROM payments WHERE order_id = $1`
	// The ledger is the provider's: a charge is entered once for each idempotency key.
	chargeSQL = `INSERT INTO provider_ledger AS l (payment_id, idempotency_key, amount_minor, currency) VALUES ($1, $2, $3, $4)
ON CONFLICT (idempotency_key) DO UPDATE SET idempotency_key = l.idempotency_key RETURNING payment_id`
	insertPaymentSQL = `INSERT INTO payments (order_id, user_id, amount_minor, currency, status, reason, payment_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)`
)

// onPaymentRequested charges an order once. A second request with the same amount has no effect; one with
// another amount is an error.
func (p payments) onPaymentRequested(
	ctx context.Context, tx pgx.Tx, r messages.PaymentRequested, m messages.Message,
) ([]messages.Message, error) {
	var amount messages.Money
	err := tx.QueryRow(ctx, paymentSQL, r.OrderID).Scan(&amount.Minor, &amount.Currency)
	switch {
	case err == nil && amount != r.Amount:
		return nil, fmt.Errorf("payment of order %s: %w", r.OrderID, errContradiction)
	// The payment exists: this is a redelivered request, and its outcome was published with the row.
	case err == nil:
		return nil, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return nil, fmt.Errorf("read payment of order %s: %w", r.OrderID, err)
	}
	status, reason, paymentID := "captured", "", ""
	if r.Amount.Minor > fraudLimit {
		status, reason = "failed", "suspected_fraud"
	} else {
		err := tx.QueryRow(ctx, chargeSQL, uuid.NewString(), r.OrderID, r.Amount.Minor, r.Amount.Currency).Scan(&paymentID)
		if err != nil {
			return nil, fmt.Errorf("charge order %s: %w", r.OrderID, err)
		}
	}
	if _, err := tx.Exec(ctx, insertPaymentSQL, r.OrderID, r.UserID, r.Amount.Minor, r.Amount.Currency, status, reason, paymentID); err != nil {
		return nil, fmt.Errorf("insert payment of order %s: %w", r.OrderID, err)
	}
	return outcome(r, reason, paymentID, m.TraceParent), nil
}

// outcome returns the messages of a finished payment: payment_captured, or payment_failed with an alert to the
// security address.
func outcome(r messages.PaymentRequested, reason, paymentID, traceParent string) []messages.Message {
	if reason != "" {
		failed := messages.PaymentFailed{OrderID: r.OrderID, UserID: r.UserID, Total: r.Amount, Reason: reason}
		alert := messages.NotificationRequested{OrderID: r.OrderID, UserID: "security", Kind: messages.KindFraudAlert,
			Message: "Order " + r.OrderID + " looks like fraud.", Channel: messages.ChannelEmail}
		return []messages.Message{orderMessage(alert, alert.Kind, traceParent), orderMessage(failed, "fail", traceParent)}
	}
	captured := messages.PaymentCaptured{OrderID: r.OrderID, UserID: r.UserID, Amount: r.Amount, PaymentID: paymentID}
	return []messages.Message{orderMessage(captured, "capture", traceParent)}
}
