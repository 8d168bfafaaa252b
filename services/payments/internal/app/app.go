// Package app holds the use cases of payments.
//
// Both use cases that a message triggers follow one pattern, which is what charges nobody twice and loses no money:
//
//  1. Read what is already decided about the orders of the batch.
//  2. Ask the provider, outside any transaction, with the order id as idempotency key. An error of the provider leaves
//     everything as it was; the message is delivered again, and the provider answers the same key as it did before.
//  3. Keep the decision in one transaction. The first decision about an order is its row; whoever comes second gets the
//     row that is there and goes by that.
//  4. Look up, for every order that must keep no money, whether a charge slipped through after all (a race with a
//     tombstone, a crash between charge and commit), and give it back. Only rows that can never become captured are
//     looked at, so no money is given back that somebody else is about to keep.
//  5. Return what the row says: the bus publishes it before it acknowledges the message. Outputs are made of the row
//     alone, with deterministic ids, so a message that is delivered again publishes the very same ones.
package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/payments/internal/domain"
)

// Store keeps payments. store.Store is the one over Postgres.
type Store interface {
	// Payments returns what is decided about those of the orders that have a payment, by order id.
	Payments(ctx context.Context, orderIDs []string) (map[string]domain.Payment, error)
	// Open keeps, in one transaction, each payment whose order has none yet. It returns the payment that each of the
	// orders has now.
	Open(ctx context.Context, payments []domain.Payment) (map[string]Kept, error)
	// Refund, in one transaction, turns captured payments into refunded ones and keeps tombstones of orders without a
	// payment. It returns the payment that each of the orders has now.
	Refund(ctx context.Context, refunded, tombstones []domain.Payment) (map[string]Kept, error)
	// Payment returns the payment of an order, or ErrNotFound.
	Payment(ctx context.Context, orderID string) (domain.Payment, error)
	// List returns at most limit payments, newest first, that come after the position.
	List(ctx context.Context, q Query) ([]domain.Payment, error)
}

// Kept is the payment that an order has.
type Kept struct {
	domain.Payment
	Now bool // this very call made it so
}

// ErrNotFound means that nothing is known about the payment of an order.
var ErrNotFound = errors.New("no such payment")

// Provider takes money and gives it back. Every error but the ones named means that the outcome is unknown: ask again
// with the same key.
type Provider interface {
	// Charge takes the money once for each key, however often it is asked. It returns ErrKeyReused when the key was
	// used for another charge.
	Charge(ctx context.Context, c Charge) (domain.Answer, error)
	// Refund gives all the money that was taken under key back, once. Asking again changes nothing. It returns
	// ErrNoCharge when none was taken.
	Refund(ctx context.Context, key string) error
	// Lookup reports whether the provider holds money that was taken under key and not given back.
	Lookup(ctx context.Context, key string) (held bool, err error)
}

// Charge is what the provider is asked for.
type Charge struct {
	Key     string // idempotency key
	OrderID string // for the provider's books
	UserID  string // for the provider's books
	Amount  messages.Money
	Method  string
}

var (
	// ErrKeyReused means that the provider knows the idempotency key from a charge of another amount or user.
	ErrKeyReused = errors.New("idempotency key was used for another charge")
	// ErrNoCharge means that the provider never took money under the idempotency key.
	ErrNoCharge = errors.New("nothing was charged under the idempotency key")
)

// ReasonContradictsState parks a message that does not fit what is already decided about its order.
const ReasonContradictsState = "contradicts_state"

// Config is what the use cases depend on. All fields are needed.
type Config struct {
	Store       Store
	Provider    Provider
	FraudLimits domain.FraudLimits
	AlertEmail  string // where suspected fraud is reported to
	Metrics     *Metrics
	Log         *slog.Logger
	Now         func() time.Time
}

// App is the use cases. Safe for concurrent use.
type App struct {
	cfg    Config
	unkept unkept
}

// New makes the use cases.
func New(cfg Config) *App { return &App{cfg: cfg} }

// now returns the time as the database keeps it, so that a payment just decided equals the one read back.
func (a *App) now() time.Time { return a.cfg.Now().UTC().Truncate(time.Microsecond) }

// providerKey returns the idempotency key of everything that the provider is asked about an order. There is one charge
// per order, so it is the order id.
func providerKey(orderID string) string { return orderID }

// Table is what payments consumes, and which use case handles each event. Other events of the topic are skipped, its own
// among them.
func (a *App) Table() bus.Table {
	return bus.Table{bus.On(a.OnPaymentRequested), bus.On(a.OnRefundRequested)}
}
