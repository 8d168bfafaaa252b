package behind

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// payments is the book of the payments service. Its decisions are its answers.
type payments struct{}

const (
	paymentCaptured decision = "captured"
	paymentFailed   decision = "failed"
	paymentRefunded decision = "refunded"
	paymentVoided   decision = "voided"
	// paymentTaken is the answer to an order whose id has another payment. It says only that there is a payment.
	paymentTaken decision = "taken"
)

// reasonTaken is the reason of a payment_failed with which payments answers an order whose id has another payment.
const reasonTaken = "order_id_taken"

func (payments) claim(m messages.Message, _ *kgo.Record) (claim, bool) {
	if m.Source != messages.ServicePayments {
		return claim{}, false
	}
	c := claim{key: m.Event.Key(), about: m.Event.Key(), says: m.Event.EventName()}
	switch e := m.Event.(type) {
	case messages.PaymentCaptured:
		c.what, c.paid = paymentCaptured, e.PaymentID
	case messages.PaymentFailed:
		c.what = paymentFailed
		if e.Reason == reasonTaken {
			c.what = paymentTaken
		}
	case messages.PaymentRefunded:
		c.what, c.paid = paymentRefunded, e.PaymentID
		if e.Amount.Minor == 0 {
			c.what = paymentVoided
		}
	default:
		return claim{}, false
	}
	return c, true
}

// payment is a row of the view audit_payments.
type payment struct {
	status, paymentID string
	outside           bool
}

const paymentsSQL = `SELECT order_id, status, payment_id, outside FROM payments.audit_payments WHERE order_id = ANY($1)`

const removedPaymentsSQL = `SELECT id FROM payments.audit_removed WHERE id = ANY($1::uuid[])`

func (payments) compare(ctx context.Context, conn *pgx.Conn, claims []claim) ([]answer, error) {
	found, err := conn.Query(ctx, paymentsSQL, abouts(claims))
	if err != nil {
		return nil, err
	}
	rows := make(map[string]payment, len(claims))
	var id string
	var p payment
	if _, err := pgx.ForEachRow(found, []any{&id, &p.status, &p.paymentID, &p.outside}, func() error {
		rows[id] = p
		return nil
	}); err != nil {
		return nil, err
	}
	gone, err := removed(ctx, conn, removedPaymentsSQL, without(claims, rows))
	if err != nil {
		return nil, err
	}
	answers := make([]answer, len(claims))
	for i, c := range claims {
		if gone[c.about] {
			continue // it has the decision
		}
		p := rows[c.about]
		answers[i] = answer{p.judge(c), p.status}
		if p.paymentID != "" {
			answers[i].row += " " + p.paymentID
		}
	}
	return answers, nil
}

// judge compares the row with an answer on the topics. The zero payment stands for a missing row.
//
//	the topics say   the row has it                       the row is behind it
//	captured         captured, refunded, the same id      missing
//	failed           failed                               missing
//	refunded         refunded, the same id                missing, captured with the same id
//	voided           voided, failed, or asked for from    missing
//	                 outside
//	taken            any                                  missing
//
// Every other row contradicts. An answer of 0 to a refund that was asked for about somebody else's payment is no void of
// that payment, which is why a payment from outside has it.
func (p payment) judge(c claim) verdict {
	status := decision(p.status)
	same := c.paid == "" || c.paid == p.paymentID
	switch {
	case status == "":
		return isBehind
	case c.what == paymentTaken, c.what == paymentVoided && (status == paymentVoided || status == paymentFailed || p.outside):
		return has
	case c.what == paymentRefunded && status == paymentCaptured && same:
		return isBehind
	case same && (status == c.what || c.what == paymentCaptured && status == paymentRefunded):
		return has
	}
	return contradicts
}
