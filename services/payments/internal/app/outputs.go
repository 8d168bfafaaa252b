package app

import (
	"fmt"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/payments/internal/domain"
)

// answer returns the messages that answer payment_requested, given the order's payment. They follow from the payment alone, so
// that the answer to a repetition is the same, byte for byte. A payment that is refunded or voided has no answer: its refund
// was answered.
func (a *App) answer(p domain.Payment) []messages.Message {
	switch p.Status {
	case domain.Captured:
		return []messages.Message{message(p, domain.StepCapture, messages.PaymentCaptured{OrderID: p.OrderID, UserID: p.UserID,
			Amount: p.Amount, PaymentID: p.PaymentID})}
	case domain.Failed:
		out := []messages.Message{message(p, domain.StepFail, messages.PaymentFailed{OrderID: p.OrderID, UserID: p.UserID,
			Total: p.Amount, Reason: p.Reason})}
		if p.Reason == domain.ReasonSuspectedFraud {
			out = append(out, message(p, messages.KindFraudAlert, messages.NotificationRequested{UserID: p.UserID,
				Message: fmt.Sprintf("Suspected fraud: order %s of user %s over %s was not charged.",
					messages.Shown(p.OrderID), messages.Shown(p.UserID), p.Amount),
				Channel: messages.ChannelEmail, OrderID: p.OrderID, Kind: messages.KindFraudAlert, To: a.cfg.AlertEmail}))
		}
		return out
	default:
		return nil
	}
}

// refundedMessage answers refund_requested. Amount 0 means that no money had been taken.
func refundedMessage(p domain.Payment) messages.Message {
	step, amount := domain.StepVoid, messages.Money{Currency: p.Amount.Currency}
	if p.Status == domain.Refunded {
		step, amount = domain.StepRefund, p.Amount
	}
	return message(p, step, messages.PaymentRefunded{OrderID: p.OrderID, UserID: p.UserID, Amount: amount, PaymentID: p.PaymentID})
}

func message(p domain.Payment, step string, e messages.Event) messages.Message {
	return messages.Message{ID: messages.ID(p.OrderID, e.EventName(), step), Event: e, Time: p.UpdatedAt, Outside: p.Outside}
}

// takenMessage is the answer to the orders service when the order id belongs to another payment, which was requested from
// outside. The message is about the order, so it is not marked as from outside.
func takenMessage(p domain.Payment, e messages.Event) messages.Message {
	return messages.Message{ID: messages.ID(p.OrderID, e.EventName(), domain.StepTaken), Event: e, Time: p.UpdatedAt}
}
