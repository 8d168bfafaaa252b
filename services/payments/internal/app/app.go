// Package app holds the use cases of payments.
//
// Both use cases that a message triggers follow one pattern, so that no order is charged twice and no money is lost:
//
//  1. Read the payments of the batch's orders. An order with a payment is decided.
//  2. Call the provider for the others, outside any transaction, with the order id as idempotency key. After an error of the
//     provider nothing has changed: the message is redelivered, and the provider gives the same key the same answer.
//  3. Store the decision in one transaction. The first decision about an order becomes its row. A replica that comes second
//     reads that row and follows it.
//  4. Look up each order that must keep no money: a charge may have slipped through, by a race with a tombstone or a crash
//     between charge and commit. Give it back. Only rows that can never become captured are looked up, so no money is given
//     back that another replica is about to store as captured.
//  5. Answer by the row: the bus publishes the answer before it acknowledges the message. Answers follow from the row alone,
//     with deterministic ids, so a redelivered message publishes the same messages.
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
	// Payments returns the payments of those orders that have one, by order id. One that retention removed has nothing but a
	// status that says so.
	Payments(ctx context.Context, orderIDs []string) (map[string]domain.Payment, error)
	// Open keeps, in one transaction, each payment whose order has none yet. It returns the payment that each of the
	// orders has now.
	Open(ctx context.Context, payments []domain.Payment) (map[string]Kept, error)
	// Refund, in one transaction, turns captured payments into refunded ones and keeps tombstones of orders without a
	// payment. It returns the payment that each of the orders has now.
	Refund(ctx context.Context, refunded, tombstones []domain.Payment) (map[string]Kept, error)
	// Payment returns the payment of an order, or ErrNotFound. only is the user whose payment it must be; nil = anybody.
	Payment(ctx context.Context, orderID string, only *string) (domain.Payment, error)
	// List returns at most limit payments, newest first, that come after the position.
	List(ctx context.Context, q Query) ([]domain.Payment, error)
}

// Kept is the payment that an order has.
type Kept struct {
	domain.Payment
	Now bool // this very call made it so
}

// ErrNotFound means that the order has no payment.
var ErrNotFound = errors.New("no such payment")

// Provider takes money and gives it back. After any error but the named ones the outcome is unknown: call again with the same
// key.
type Provider interface {
	// Charge takes the money once for each key, however often it is called. It returns ErrKeyReused when the key was used
	// for another charge.
	Charge(ctx context.Context, c Charge) (domain.Answer, error)
	// Refund gives back all money that was taken under key, once. A repetition changes nothing. It returns ErrNoCharge when no
	// money was taken.
	Refund(ctx context.Context, key string) error
	// Lookup reports whether the provider holds money that was taken under key and not given back.
	Lookup(ctx context.Context, key string) (held bool, err error)
}

// Charge is a charge to make.
type Charge struct {
	Key     string // idempotency key
	OrderID string // for the provider's books
	UserID  string // for the provider's books
	Amount  messages.Money
	Method  string
}

var (
	// ErrKeyReused means that the idempotency key belongs to a charge of another amount or user.
	ErrKeyReused = errors.New("idempotency key was used for another charge")
	// ErrNoCharge means that the provider never took money under the idempotency key.
	ErrNoCharge = errors.New("nothing was charged under the idempotency key")
)

// The reasons that messages are parked with.
const (
	// ReasonContradictsState: the message contradicts its order's payment.
	ReasonContradictsState = "contradicts_state"
	// ReasonPaymentRemoved: retention removed the captured payment whose refund the message requests.
	ReasonPaymentRemoved = "payment_removed"
)

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

// ProviderKey returns the idempotency key of all calls to the provider about an order. There is one charge for each order, so
// it is the order id.
func ProviderKey(orderID string) string { return orderID }

// Table is what payments consumes, and which use case handles each event. Other events of the topic are skipped, its own
// among them.
func (a *App) Table() bus.Table {
	return bus.Table{bus.On(a.OnPaymentRequested), bus.On(a.OnRefundRequested)}
}
