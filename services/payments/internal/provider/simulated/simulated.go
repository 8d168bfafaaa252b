// Package simulated is a payment provider that moves no money, and keeps books as if it did.
//
// Its books are the table provider_ledger: one row for each idempotency key. The first charge under a key decides its row,
// and each later call gets the answer of that row:
//
//	(none) -> charged -> refunded
//	(none) -> declined
//	(none) -> erring -> charged   (MethodFlaky works at the third call)
//
// It behaves as an outside system. It has connections of its own, it may be slow, and it may fail after the charge was
// entered, so that its answer is lost.
package simulated

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/batch"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
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

// ErrUnavailable means that the provider gave no answer. The outcome of the call is unknown.
var ErrUnavailable error = unavailable{}

type unavailable struct{}

// Error implements error.
func (unavailable) Error() string { return "the payment provider did not answer" }

// ErrorType implements tracing.Typed.
func (unavailable) ErrorType() string { return "unavailable" }

// Config configures a Provider.
type Config struct {
	// Books is the database of the ledger, which the provider never shares with a transaction of its caller.
	Books pgdb.Querier
	// Latency is how long each call takes.
	Latency time.Duration
	// ErrorRate is the share of calls, 0 to 1, that end in ErrUnavailable: half of them before the call had an effect,
	// half of them afterwards, as when the answer is lost.
	ErrorRate float64
	// Random returns numbers in [0, 1); nil = rand.Float64.
	Random func() float64
}

// Provider implements app.Provider. Safe for concurrent use.
type Provider struct {
	cfg Config
	// Charges that wait at the same moment are entered by one statement: a real provider has many servers, not our one
	// database.
	charges *batch.Batcher[app.Charge, entered]
	pool    *pgxpool.Pool // of Open; nil = the caller's
}

// New makes a provider over cfg.Books. Close it when nothing calls it any more.
func New(cfg Config) *Provider {
	if cfg.Random == nil {
		cfg.Random = mathrand.Float64
	}
	p := &Provider{cfg: cfg}
	p.charges = batch.New(batch.Config[app.Charge, entered]{
		Handle: p.enter, Failed: func(e entered) bool { return e.err != nil },
	})
	return p
}

// maxConns bounds the pool of the books, which is not part of payments' own.
const maxConns = 4

// Open makes a provider whose books are in payments' schema of the database, over a pool of its own.
func Open(databaseURL string, cfg Config) (*Provider, error) {
	pool, err := pgdb.Open(pgdb.Config{URL: databaseURL, Schema: "payments", AppName: "payments-provider", MaxConns: maxConns})
	if err != nil {
		return nil, fmt.Errorf("the simulated provider's ledger: %w", err)
	}
	cfg.Books = pool
	p := New(cfg)
	p.pool = pool
	return p, nil
}

// Close cancels charges that are being entered, and closes the pool of Open.
func (p *Provider) Close() {
	p.charges.Close()
	if p.pool != nil {
		p.pool.Close()
	}
}

// call does what each request goes through: latency and luck.
func (p *Provider) call(ctx context.Context, do func(ctx context.Context) error) error {
	if p.cfg.Latency > 0 && !wait.Sleep(ctx, p.cfg.Latency) {
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	luck := 1.0
	if p.cfg.ErrorRate > 0 {
		luck = p.cfg.Random()
	}
	if luck < p.cfg.ErrorRate/2 {
		return ErrUnavailable
	}
	if err := do(ctx); err != nil {
		return err
	}
	if luck < p.cfg.ErrorRate {
		return fmt.Errorf("%w: its answer was lost", ErrUnavailable)
	}
	return nil
}

// The key decides: the first charge under it is entered, every later one gets the first one's entry and is counted. An
// erring charge works after enough calls, if it is still the same charge.
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

// enter enters charges. One statement can enter a key only once: repetitions of a key go into later statements.
func (p *Provider) enter(ctx context.Context, charges []app.Charge) []entered {
	results := make([]entered, len(charges))
	left := make([]int, len(charges))
	for i := range left {
		left[i] = i
	}
	for len(left) > 0 {
		var once []app.Charge
		var again []int
		at := make(map[string]int, len(left)) // by key
		for _, i := range left {
			if _, twice := at[charges[i].Key]; twice {
				again = append(again, i)
				continue
			}
			at[charges[i].Key], once = i, append(once, charges[i])
		}
		found, err := p.enterOnce(ctx, once)
		for _, i := range at {
			results[i].err = err
		}
		for _, e := range found {
			results[at[e.key]] = e
		}
		left = again
	}
	return results
}

func (p *Provider) enterOnce(ctx context.Context, charges []app.Charge) ([]entered, error) {
	found, err := pgdb.Collect(ctx, p.cfg.Books, func(row pgx.CollectableRow) (e entered, err error) {
		err = row.Scan(&e.key, &e.paymentID, &e.userID, &e.amount.Minor, &e.amount.Currency, &e.status, &e.reason)
		return e, err
	}, chargeSQL,
		pgdb.Column(charges, func(app.Charge) string { return newPaymentID() }),
		pgdb.Column(charges, func(c app.Charge) string { return c.Key }),
		pgdb.Column(charges, func(c app.Charge) string { return c.OrderID }),
		pgdb.Column(charges, func(c app.Charge) string { return c.UserID }),
		pgdb.Column(charges, func(c app.Charge) int64 { return c.Amount.Minor }),
		pgdb.Column(charges, func(c app.Charge) string { return c.Amount.Currency }),
		pgdb.Column(charges, func(c app.Charge) string { return c.Method }),
		pgdb.Column(charges, func(c app.Charge) string { status, _ := judge(c.Method); return status }),
		pgdb.Column(charges, func(c app.Charge) string { _, reason := judge(c.Method); return reason }),
		FlakyFailures)
	if err != nil {
		return nil, fmt.Errorf("enter %d charges: %w", len(charges), err)
	}
	return found, nil
}

// Charge implements app.Provider.
func (p *Provider) Charge(ctx context.Context, c app.Charge) (domain.Answer, error) {
	var answer domain.Answer
	err := p.call(ctx, func(ctx context.Context) error {
		e, err := p.charges.Do(ctx, c)
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
func (p *Provider) Refund(ctx context.Context, key string) error {
	return p.call(ctx, func(ctx context.Context) error {
		tag, err := p.cfg.Books.Exec(ctx, refundSQL, key)
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
func (p *Provider) Lookup(ctx context.Context, key string) (held bool, err error) {
	err = p.call(ctx, func(ctx context.Context) error {
		err := p.cfg.Books.QueryRow(ctx, lookupSQL, key).Scan(&held)
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
