// Package provider holds the payment provider: a simulated one, and what measures any.
package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/coalesce"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
)

// The payment methods that the simulated provider knows. The first three are named as Stripe names its test methods.
// Every other one is declined as unknown_payment_method.
const (
	MethodVisa              = "pm_card_visa"
	MethodDeclined          = "pm_card_chargeDeclined"
	MethodInsufficientFunds = "pm_card_chargeDeclinedInsufficientFunds"
	// MethodFlaky does not get through to the provider FlakyFailures times, then works.
	MethodFlaky = "pm_card_flaky"
)

// FlakyFailures is how many charges under one idempotency key fail with MethodFlaky before one works.
const FlakyFailures = 2

// ErrUnavailable means that the provider gave no answer. Whether it did what was asked is unknown.
var ErrUnavailable error = unavailable{}

type unavailable struct{}

// Error implements error.
func (unavailable) Error() string { return "the payment provider did not answer" }

// ErrorType implements tracing.Typed.
func (unavailable) ErrorType() string { return "unavailable" }

// Config configures a Simulated provider.
type Config struct {
	// Books is the database of the ledger. As an external system's it is apart from ours: give it a pool of its own, never
	// a transaction.
	Books pgdb.Querier
	// Latency is how long each call takes.
	Latency time.Duration
	// ErrorRate is the share of calls, 0 to 1, that end in ErrUnavailable: half of them before anything was done, half
	// of them afterwards, as when the answer is lost.
	ErrorRate float64
	// Random returns numbers in [0, 1); rand.Float64 fits.
	Random func() float64
}

// Simulated is an app.Provider that moves no money but keeps books as if it did: the table provider_ledger.
type Simulated struct {
	cfg Config
	// Charges that come at the same moment are entered together: a real provider has many servers, not our one database.
	charges *coalesce.Coalescer[app.Charge, entered]
}

// NewSimulated makes a provider. Close it when nobody calls it any more.
func NewSimulated(cfg Config) *Simulated {
	s := &Simulated{cfg: cfg}
	s.charges = coalesce.New(coalesce.Config[app.Charge, entered]{
		Handle: s.enter, Failed: func(e entered) bool { return e.err != nil },
	})
	return s
}

// Close ends what is being entered.
func (s *Simulated) Close() { s.charges.Close() }

// call is what every request to the provider goes through.
func (s *Simulated) call(ctx context.Context, do func(ctx context.Context) error) error {
	if s.cfg.Latency > 0 {
		timer := time.NewTimer(s.cfg.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
	luck := 1.0
	if s.cfg.ErrorRate > 0 {
		luck = s.cfg.Random()
	}
	if luck < s.cfg.ErrorRate/2 {
		return ErrUnavailable
	}
	if err := do(ctx); err != nil {
		return err
	}
	if luck < s.cfg.ErrorRate {
		return fmt.Errorf("%w: its answer was lost", ErrUnavailable)
	}
	return nil
}

// The key decides: the first charge under it is entered, every later one gets the first one's entry and is counted. An
// erring charge works once it was asked for often enough, if it is still the same charge.
const chargeSQL = `
INSERT INTO provider_ledger AS l
  (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status, decline_reason)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[])
  AS new (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status, decline_reason)
ORDER BY new.idempotency_key
ON CONFLICT ON CONSTRAINT provider_key_used_once DO UPDATE SET
  charge_calls = l.charge_calls + 1,
  status = CASE WHEN l.status = 'erring' AND l.charge_calls >= $10
                 AND (l.user_id, l.amount_minor, l.currency) = (excluded.user_id, excluded.amount_minor, excluded.currency)
                THEN 'charged' ELSE l.status END
RETURNING idempotency_key, payment_id, user_id, amount_minor, currency, status, decline_reason`

// entered is what stands in the ledger after a charge.
type entered struct {
	key, paymentID, userID string
	amount                 messages.Money
	status, reason         string
	err                    error
}

// enter enters charges. A statement can meet a key only once: those that come again in the same batch go into the next.
func (s *Simulated) enter(ctx context.Context, charges []app.Charge) []entered {
	results := make([]entered, len(charges))
	for todo := indexes(charges); len(todo) > 0; {
		var again []int
		at := make(map[string]int, len(todo)) // by key
		for _, i := range todo {
			if _, twice := at[charges[i].Key]; twice {
				again = append(again, i)
				continue
			}
			at[charges[i].Key] = i
		}
		found, err := s.enterOnce(ctx, charges, at)
		for _, i := range at {
			results[i].err = err
		}
		for _, e := range found {
			results[at[e.key]] = e
		}
		todo = again
	}
	return results
}

func indexes[T any](s []T) []int {
	all := make([]int, len(s))
	for i := range all {
		all[i] = i
	}
	return all
}

func (s *Simulated) enterOnce(ctx context.Context, charges []app.Charge, at map[string]int) ([]entered, error) {
	n := len(at)
	ids, keys, orders, users := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	amounts, currencies, methods := make([]int64, 0, n), make([]string, 0, n), make([]string, 0, n)
	statuses, reasons := make([]string, 0, n), make([]string, 0, n)
	for _, i := range at {
		c := charges[i]
		status, reason := judge(c.Method)
		ids, keys, orders, users = append(ids, newPaymentID()), append(keys, c.Key), append(orders, c.OrderID), append(users, c.UserID)
		amounts, currencies, methods = append(amounts, c.Amount.Minor), append(currencies, c.Amount.Currency), append(methods, c.Method)
		statuses, reasons = append(statuses, status), append(reasons, reason)
	}
	rows, err := s.cfg.Books.Query(ctx, chargeSQL, ids, keys, orders, users, amounts, currencies, methods, statuses, reasons, FlakyFailures)
	if err != nil {
		return nil, fmt.Errorf("enter %d charges: %w", n, err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e entered, err error) {
		err = row.Scan(&e.key, &e.paymentID, &e.userID, &e.amount.Minor, &e.amount.Currency, &e.status, &e.reason)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("enter %d charges: %w", n, err)
	}
	return found, nil
}

// Charge implements app.Provider.
func (s *Simulated) Charge(ctx context.Context, c app.Charge) (domain.Answer, error) {
	var answer domain.Answer
	err := s.call(ctx, func(ctx context.Context) error {
		e, err := s.charges.Do(ctx, c)
		if err = errors.Join(err, e.err); err != nil {
			return fmt.Errorf("charge order %s: %w", c.OrderID, err)
		}
		switch {
		case e.userID != c.UserID || e.amount != c.Amount:
			return app.ErrKeyReused
		case e.status == statusErring:
			return ErrUnavailable
		case e.status == statusDeclined:
			answer.Declined = e.reason
		default: // charged, or charged and refunded since: the same answer as the first time
			answer.PaymentID = e.paymentID
		}
		return nil
	})
	if err != nil {
		return domain.Answer{}, err
	}
	return answer, nil
}

// The statuses of an entry. The table's CHECK provider_status has them and refunded.
const (
	statusErring   = "erring"
	statusCharged  = "charged"
	statusDeclined = "declined"
)

// judge returns what the first charge with the method is entered as.
func judge(method string) (status, declineReason string) {
	switch method {
	case MethodVisa:
		return statusCharged, ""
	case MethodDeclined:
		return statusDeclined, domain.ReasonCardDeclined
	case MethodInsufficientFunds:
		return statusDeclined, domain.ReasonInsufficientFunds
	case MethodFlaky:
		return statusErring, ""
	default:
		return statusDeclined, domain.ReasonUnknownPaymentMethod
	}
}

// newPaymentID returns a new name on purpose, not one made of the key: were money taken twice, it would have two.
func newPaymentID() string { return "pay_" + strings.ToLower(rand.Text()) }

const refundSQL = `
UPDATE provider_ledger
SET status = 'refunded', refund_calls = refund_calls + 1, refunded_at = COALESCE(refunded_at, clock_timestamp())
WHERE idempotency_key = $1 AND status IN ('charged', 'refunded')`

// Refund implements app.Provider.
func (s *Simulated) Refund(ctx context.Context, key string) error {
	return s.call(ctx, func(ctx context.Context) error {
		tag, err := s.cfg.Books.Exec(ctx, refundSQL, key)
		if err != nil {
			return fmt.Errorf("enter the refund of %s: %w", key, err)
		}
		if tag.RowsAffected() == 0 {
			return app.ErrNoCharge
		}
		return nil
	})
}

const lookupSQL = `SELECT status = 'charged' FROM provider_ledger WHERE idempotency_key = $1`

// Lookup implements app.Provider.
func (s *Simulated) Lookup(ctx context.Context, key string) (held bool, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		err := s.cfg.Books.QueryRow(ctx, lookupSQL, key).Scan(&held)
		if errors.Is(err, pgx.ErrNoRows) {
			held = false
			return nil
		}
		if err != nil {
			return fmt.Errorf("look up %s: %w", key, err)
		}
		return nil
	})
	return held && err == nil, err
}
