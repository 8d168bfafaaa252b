package simulated

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
)

// Books is the ledger without a provider that charges: a database that was put back, or made anew, has entries that are
// missing or too old. An outside provider would have kept them. Without its entry a payment could not be refunded.
type Books struct{}

// Restated is an entry that differs from what a payment says about it.
type Restated struct {
	OrderID string
	Was, Is string // the entry's status; Was = "" when there is none
}

// Restate compares the entries with payments that are certain, and returns those that differ. With write it makes them so. It
// takes and gives back no money, and counts no call but the first of each entry that it makes. Entries that are further than
// their payment stay: an answer of the provider that the service did not store yet.
func (Books) Restate(ctx context.Context, q pgdb.Querier, payments []domain.Payment, write bool) ([]Restated, error) {
	wanted := make([]booked, 0, len(payments))
	for _, p := range payments {
		if e, ok := book(p); ok {
			wanted = append(wanted, e)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	found, err := entriesOf(ctx, q, pgdb.Column(wanted, func(e booked) string { return e.key }))
	if err != nil {
		return nil, err
	}
	var differ []Restated
	var changed []booked
	for _, e := range wanted {
		if was, is := found[e.key], e.over(found[e.key]); was != is.shown() {
			changed = append(changed, is)
			differ = append(differ, Restated{OrderID: e.payment.OrderID, Was: was.status, Is: is.status})
		}
	}
	if !write || len(changed) == 0 {
		return differ, nil
	}
	return differ, restate(ctx, q, changed)
}

// booked is the entry that a payment proves.
type booked struct {
	key, status, reason string
	payment             domain.Payment
	refundedAt          *time.Time
}

// shown is the part of an entry that is compared.
type shown struct{ paymentID, status string }

func (e booked) shown() shown { return shown{e.payment.PaymentID, e.status} }

// statusRefunded is of an entry whose money was given back.
const statusRefunded = "refunded"

// book returns the entry of a payment, unless the provider was never asked for it.
func book(p domain.Payment) (booked, bool) {
	e := booked{key: app.ProviderKey(p.OrderID), payment: p}
	switch p.Status {
	case domain.Captured:
		e.status = statusCharged
	case domain.Refunded:
		e.status, e.refundedAt = statusRefunded, &p.UpdatedAt
	case domain.Failed:
		e.status, e.reason = statusDeclined, p.Reason
		return e, p.Reason != domain.ReasonSuspectedFraud
	default:
		return e, false
	}
	return e, true
}

// over returns the entry that replaces the one that was found. It equals what was found when nothing has to be changed.
func (e booked) over(found shown) booked {
	switch {
	case e.status == statusDeclined && found.status != "":
		// Declined for good, or a charge that slipped through: the service gives it back.
		e.payment.PaymentID, e.status = found.paymentID, found.status
	case e.status == statusDeclined:
		e.payment.PaymentID = newPaymentID() // each entry has one, and nobody is told this one
	case e.status == statusCharged && found == (shown{e.payment.PaymentID, statusRefunded}):
		e.status = found.status // given back already, and not stored yet
	}
	return e
}

const entriesSQL = `SELECT idempotency_key, payment_id, status FROM provider_ledger WHERE idempotency_key = ANY($1)`

func entriesOf(ctx context.Context, q pgdb.Querier, keys []string) (map[string]shown, error) {
	found := make(map[string]shown, len(keys))
	_, err := pgdb.Collect(ctx, q, func(row pgx.CollectableRow) (s shown, err error) {
		var key string
		err = row.Scan(&key, &s.paymentID, &s.status)
		found[key] = s
		return s, err
	}, entriesSQL, keys)
	if err != nil {
		return nil, fmt.Errorf("read the simulated provider's ledger: %w", err)
	}
	return found, nil
}

const restateSQL = `
INSERT INTO provider_ledger AS l (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status,
  decline_reason, created_at, refunded_at, refund_calls)
SELECT *, (new.refunded_at IS NOT NULL)::int
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::timestamptz[], $11::timestamptz[])
  AS new (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status, decline_reason, created_at, refunded_at)
ORDER BY new.idempotency_key
ON CONFLICT ON CONSTRAINT provider_key_used_once DO UPDATE SET payment_id = excluded.payment_id, status = excluded.status,
  decline_reason = excluded.decline_reason, refunded_at = excluded.refunded_at, refund_calls = GREATEST(l.refund_calls, excluded.refund_calls)`

func restate(ctx context.Context, q pgdb.Querier, entries []booked) error {
	_, err := q.Exec(ctx, restateSQL,
		pgdb.Column(entries, func(e booked) string { return e.payment.PaymentID }),
		pgdb.Column(entries, func(e booked) string { return e.key }),
		pgdb.Column(entries, func(e booked) string { return e.payment.OrderID }),
		pgdb.Column(entries, func(e booked) string { return e.payment.UserID }),
		pgdb.Column(entries, func(e booked) int64 { return e.payment.Amount.Minor }),
		pgdb.Column(entries, func(e booked) string { return e.payment.Amount.Currency }),
		pgdb.Column(entries, func(e booked) string { return e.payment.Method }),
		pgdb.Column(entries, func(e booked) string { return e.status }),
		pgdb.Column(entries, func(e booked) string { return e.reason }),
		pgdb.Column(entries, func(e booked) time.Time { return e.payment.CreatedAt }),
		pgdb.Column(entries, func(e booked) *time.Time { return e.refundedAt }))
	if err != nil {
		return fmt.Errorf("restate %d entries of the simulated provider's ledger: %w", len(entries), err)
	}
	return nil
}
