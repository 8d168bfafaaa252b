// Package app holds the use cases of orders.
//
// All use cases that change an order follow these rules:
//
//   - One transaction. It locks the orders first, then the products in the order of their skus. The domain decides in memory.
//     Everything is written at once. Each UPDATE names the status and the version that it expects.
//   - State is the inbox: the order's status decides a message, never whether the message was seen before. Decisions come
//     before any write, so a message that breaks a rule fails alone, and the rest of its batch goes on.
//   - Outputs follow from the order's status (see outputs.go), with deterministic ids. A redelivered message whose work is done
//     gets the same outputs again, as long as the order is still where that message led it. So redelivery heals a crash
//     between commit and publish.
//   - Outputs that no message in work triggers (HTTP, a time-out, a held message) go through the outbox.
//
// docs/order-journey.md follows one order. domain.Status draws how an order's statuses follow each other.
package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/batch"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/orders/internal/domain"
)

// Store keeps orders, stock and what belongs to them. store.Store is the one over Postgres.
type Store interface {
	// InTx runs fn in one transaction and commits when fn returns nil. It may run fn again after the database undid the
	// transaction: fn sets its results anew each time. An error may come after a commit that happened.
	InTx(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error

	// Order returns an order with its lines, or ErrNotFound. only is the user whose order it must be; nil = anybody.
	Order(ctx context.Context, id string, only *string) (domain.Order, error)
	// Orders returns at most q.Limit orders, newest first, that come after q.After.
	Orders(ctx context.Context, q Query) ([]domain.Order, error)
	// Newer returns those of the orders whose version is greater than the one given.
	Newer(ctx context.Context, versions map[string]int64) ([]domain.Order, error)
	// Timeline returns the order's changes with a number greater than after, oldest first: none of an order of another than only.
	Timeline(ctx context.Context, id string, after int64, only *string) ([]domain.Change, error)

	// Products returns the whole catalogue by sku; Product one of it, or ErrNotFound.
	Products(ctx context.Context) ([]domain.Product, error)
	Product(ctx context.Context, sku string) (domain.Product, error)

	// FinishAnswer replaces the answer kept under a key and ends its running.
	FinishAnswer(ctx context.Context, key Idempotency, answer Answer) error
	// PruneKeys forgets at most limit keys made before the time given, and returns how many.
	PruneKeys(ctx context.Context, before time.Time, limit int) (int, error)
	// OutboxStuck returns when the oldest message in the outbox was put there, zero while messages get out of it.
	OutboxStuck(ctx context.Context) (time.Time, error)
}

// Tx is a transaction of the Store.
type Tx interface {
	// LockOrders returns those of the orders that exist, by id, locked. It locks the names of the other ids: until the
	// transaction ends, no other one can make such an order, or decide that it does not exist.
	LockOrders(ctx context.Context, ids []string) (map[string]*domain.Order, error)
	// LockOrderOf is LockOrders for one order, which counts as one that does not exist when it is another user's.
	LockOrderOf(ctx context.Context, user, id string) (map[string]*domain.Order, error)
	// Removed reports whether retention has removed an order that LockOrders did not find. Such an order was settled: no
	// message about it has an effect, and none of its id is ever made again.
	Removed(id string) bool
	// LockProducts returns those of the products that exist, locked in the order of their skus, and the held messages of the
	// orders, oldest first.
	LockProducts(ctx context.Context, skus, orderIDs []string) (domain.Stock, []Held, error)
	// Catalogue returns those of the products that exist, for reading prices.
	Catalogue(ctx context.Context, skus []string) (domain.Stock, error)
	// PutProduct creates a product without pieces, or changes its name and price.
	PutProduct(ctx context.Context, sku, name string, price messages.Money) (p domain.Product, created bool, err error)
	// Restock adds pieces to a product and returns it, or ErrNotFound.
	Restock(ctx context.Context, sku string, quantity int64) (domain.Product, error)
	// Announce marks at most limit products without an event as announced, raises their versions, and returns them.
	Announce(ctx context.Context, limit int) ([]domain.Product, error)
	// DueOrders locks and returns at most limit due orders in the status. It skips orders that are locked.
	DueOrders(ctx context.Context, status domain.Status, now time.Time, limit int) ([]*domain.Order, error)

	// Hold stores a held message. A message that is a dead letter already is not stored, and parked is true. One that is
	// Outside is always stored.
	Hold(ctx context.Context, h Held) (parked bool, err error)
	// HeldSince locks and returns at most limit messages held since before the time given. It skips those that are Outside
	// and those that are locked.
	HeldSince(ctx context.Context, before time.Time, limit int) ([]Held, error)

	// ClaimKeys locks keys, of which no two are equal, until the transaction ends, and returns the stored answer of each.
	ClaimKeys(ctx context.Context, keys []Idempotency, now time.Time) ([]KeyClaim, error)

	// Save writes everything and commits, which ends the transaction. After an error nothing is written, unless the error is
	// of the commit itself.
	Save(ctx context.Context, w Work) error
}

// KeyClaim is the result of claiming a key. Without Answer and Err the key is free, and this transaction has it.
type KeyClaim struct {
	Answer *Answer // kept under the key
	// Err is ErrKeyBusy when the key is locked or its answer is still running, ErrKeyReused when it belongs to another
	// request.
	Err error
}

// KeptAnswer is an answer to store. With RunningUntil another one follows, by FinishAnswer, until then.
type KeptAnswer struct {
	Idempotency
	Answer
	RunningUntil time.Time
}

// Work is all that one transaction writes.
type Work struct {
	Orders  []*domain.Order    // with Changes, or nudged
	Stock   []StockMove        // by sku
	Outbox  []messages.Message // in order
	Applied []int64            // held messages that are handled
	Park    []Parked
	Answers []KeptAnswer // under keys that were claimed
	Audit   []auditlog.Entry
	Now     time.Time // when they are stored
}

// StockMove says by how much a product's pieces moved.
type StockMove struct {
	SKU                       string
	Available, Reserved, Sold int64
}

// Held is a held message: it waits for its order to exist, or for the order step.
type Held struct {
	ID      int64
	OrderID string
	Event   string
	Record  messages.Record // as read
	HeldAt  time.Time
	// Outside marks a message about a payment that was requested from outside. It waits for its order without end, and for the
	// step of a pending order.
	Outside bool
}

// Parked is a message to become a dead letter.
type Parked struct {
	Record messages.Record
	Reason string
	Detail string
}

// Errors of the use cases. Domain errors (ErrUnknownSKU, ErrTotalMismatch, ErrNotPriceable, ErrContradiction,
// ErrNotCancellable) are returned as they are.
var (
	// ErrNotFound means that no such order or product exists.
	ErrNotFound = errors.New("not found")
	// ErrNotYours means that the order would be another user's than the caller.
	ErrNotYours = errors.New("the order would be another user's")
	// ErrKeyBusy means that a request with the same idempotency key is still running.
	ErrKeyBusy = errors.New("a request with this idempotency key is still running")
	// ErrKeyReused means that the idempotency key belongs to another request.
	ErrKeyReused = errors.New("the idempotency key was used for another request")
	// ErrBusy means that too many orders wait to be taken, or for their end. Nothing was begun.
	ErrBusy = errors.New("too many orders are waiting")
	// ErrNotBegun means that the request was dropped before it began.
	ErrNotBegun = errors.New("nothing was begun")
	// ErrUnknown means that the request may have succeeded: the database did not answer the commit.
	ErrUnknown = errors.New("it is unknown whether it happened")
)

// The reasons that messages are parked with.
const (
	// ReasonContradictsState: the message contradicts its order.
	ReasonContradictsState = "contradicts_state"
	// ReasonTotalMismatch: the stated total is not what the items cost.
	ReasonTotalMismatch = "total_mismatch"
	// ReasonNotPriceable: the items have no sum in the order's currency.
	ReasonNotPriceable = "not_priceable"
	// ReasonUnknownOrder: the message is about an order that was never placed.
	ReasonUnknownOrder = "unknown_order"
)

// Config is what the use cases depend on. All fields are needed but PlaceWithin and SettleWithin.
type Config struct {
	Store   Store
	Metrics *Metrics
	Log     *slog.Logger
	Now     func() time.Time
	NewID   func() string // for orders whose client chose none; UUIDv7
	Policy  domain.Policy
	// HeldTimeout is how long a message waits for its order before it is parked.
	HeldTimeout time.Duration
	// KeyTTL is how long an idempotency key is remembered.
	KeyTTL time.Duration
	Tracer *tracing.Tracer
	// Trusted keys must have signed held messages; nil = none is needed.
	Trusted *signing.Keys
	// PlaceWithin is how long an order may wait to be begun; 0 = 300 ms.
	PlaceWithin time.Duration
	// SettleWithin is how long orders may wait for their end before HTTP takes fewer; 0 = for ever.
	SettleWithin time.Duration
}

// App is the use cases. Safe for concurrent use.
type App struct {
	cfg      Config
	watchers *watchers
	placing  *batch.Batcher[placeRequest, placeOutcome]
	backlog  *backlog
	// failing is the error of the last transaction that placed orders, nil if it succeeded. Orders that wait behind it wait
	// because of that error, not because there are too many.
	failing atomic.Pointer[error]
}

// New makes the use cases. Run the App (see Run) so that waiters see what other replicas commit.
func New(cfg Config) *App {
	a := &App{cfg: cfg, watchers: newWatchers(), backlog: newBacklog(cfg.SettleWithin, cfg.Log)}
	a.placing = newPlacing(a)
	return a
}

// now returns the time as the database keeps it, so that an order just decided equals the one read back.
func (a *App) now() time.Time { return a.cfg.Now().UTC().Truncate(time.Microsecond) }

// Table is what orders consumes, and which use case handles each event. Other events of these topics are skipped.
func (a *App) Table() bus.Table {
	return bus.Table{bus.On(a.OnOrderPlaced), bus.On(a.OnPaymentCaptured), bus.On(a.OnPaymentRefunded), bus.On(a.OnPaymentFailed)}
}
