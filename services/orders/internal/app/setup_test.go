package app_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is one test's database with one replica of the use cases, and a clock that stands still.
type world struct {
	*app.App
	t     *testing.T
	db    *pgxpool.Pool
	relay *relay
	reg   *prometheus.Registry
	clock *clock
	n     int64 // offsets given out
}

const (
	paymentTimeout = 15 * time.Minute
	republishAfter = time.Minute
	heldTimeout    = time.Minute
)

func setup(t testing.TB) *world {
	t.Helper()
	db := testkit.Database(t, migrations.Up).Pool(t, "orders")
	w := newWorld(db, &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	w.t, _ = t.(*testing.T)
	return w
}

func newWorld(db *pgxpool.Pool, c *clock) *world { return newWorldWithin(db, c, time.Hour) }

// newWorldWithin is a world whose orders may wait for so long to be begun.
func newWorldWithin(db *pgxpool.Pool, c *clock, within time.Duration) *world {
	w := &world{db: db, relay: &relay{Relay: outbox.NewRelay(outbox.Config{Pool: db})}, reg: prometheus.NewRegistry(), clock: c}
	w.App = app.New(app.Config{Store: store.New(db, w.relay, deadletter.NewStore(db)), Metrics: app.NewMetrics(w.reg),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: c.Now, NewID: w.newID,
		Policy:      domain.Policy{PaymentTimeout: paymentTimeout, RepublishAfter: republishAfter},
		HeldTimeout: heldTimeout, KeyTTL: 24 * time.Hour, PlaceWithin: within})
	return w
}

// replica returns a second process on the same database.
func (w *world) replica() *world {
	other := newWorld(w.db, w.clock)
	other.t = w.t
	return other
}

// replicaWithin is a replica whose orders may wait for so long to be begun.
func (w *world) replicaWithin(within time.Duration) *world {
	return newWorldWithin(w.db, w.clock, within)
}

func (w *world) newID() string { w.n++; return fmt.Sprintf("generated-%d", w.n) }

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// relay keeps what was handed over after commits.
type relay struct {
	*outbox.Relay // does not run

	mu   sync.Mutex
	rows []outbox.Row
}

func (r *relay) Enqueue(rows ...outbox.Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, rows...)
}

// took returns what was handed over since the last call, and deletes it from the table as if it was published.
func (w *world) took() []messages.Message {
	w.t.Helper()
	w.relay.mu.Lock()
	defer w.relay.mu.Unlock()
	var msgs []messages.Message
	for _, row := range w.relay.rows {
		m, err := messages.Decode(row.Record)
		require.NoError(w.t, err)
		require.Equal(w.t, "orders", m.Source)
		tag, err := w.db.Exec(w.t.Context(), `DELETE FROM outbox WHERE id = $1`, row.ID)
		require.NoError(w.t, err)
		require.EqualValues(w.t, 1, tag.RowsAffected())
		msgs = append(msgs, m)
	}
	w.relay.rows = nil
	return msgs
}

// in makes what the bus hands over for an event.
func in[E messages.Event](w *world, e E) bus.In[E] {
	w.t.Helper()
	r, err := messages.Message{ID: messages.ID(e.Key(), e.EventName(), "test"), Event: e, Source: "test", Time: w.clock.Now()}.Record()
	require.NoError(w.t, err)
	w.n++
	r.Offset = w.n
	return bus.In[E]{ID: "test", Event: e, Time: w.clock.Now(), Record: r}
}

// deliver hands one event to a use case that is expected to take it, and returns what is published.
func deliver[E messages.Event](w *world, h bus.Handler[E], e E) []messages.Message {
	w.t.Helper()
	r := h(w.t.Context(), []bus.In[E]{in(w, e)})
	require.Len(w.t, r, 1)
	require.NoError(w.t, r[0].Err)
	return r[0].Publish
}

// refuse hands over an event that is expected to be parked with the reason, changing nothing.
func refuse[E messages.Event](w *world, h bus.Handler[E], e E, reason string) {
	w.t.Helper()
	before := w.dump()
	r := h(w.t.Context(), []bus.In[E]{in(w, e)})
	require.Len(w.t, r, 1)
	require.Error(w.t, r[0].Err)
	require.Equal(w.t, reason, fault.Reason(r[0].Err), "%v", r[0].Err)
	require.Empty(w.t, r[0].Publish)
	require.Equal(w.t, before, w.dump())
}

// dump returns the state of orders and stock, to compare.
func (w *world) dump() string {
	w.t.Helper()
	var s string
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT concat(
		(SELECT string_agg(o::text, E'\n' ORDER BY order_id) FROM orders o), E'\n',
		(SELECT string_agg(e::text, E'\n' ORDER BY order_id, number) FROM order_events e), E'\n',
		(SELECT string_agg(h::text, E'\n' ORDER BY id) FROM held_messages h), E'\n',
		(SELECT string_agg(i::text, E'\n' ORDER BY sku) FROM inventory i))`).Scan(&s))
	return s
}

func usd(minor int64) messages.Money { return messages.Money{Minor: minor, Currency: "USD"} }

// product makes a product with pieces.
func (w *world) product(sku string, price, pieces int64) {
	w.t.Helper()
	_, created, err := w.PutProduct(w.t.Context(), sku, "Name of "+sku, usd(price))
	require.NoError(w.t, err)
	require.True(w.t, created)
	if pieces > 0 {
		_, _, err = w.Restock(w.t.Context(), sku, pieces, nil, func(domain.Product) (app.Answer, error) { return app.Answer{}, nil })
		require.NoError(w.t, err)
	}
	w.took() // its events
}

// pieces expects where the pieces of a product are.
func (w *world) pieces(sku string, available, reserved, sold int64) {
	w.t.Helper()
	p, err := w.Product(context.Background(), sku)
	require.NoError(w.t, err)
	require.Equal(w.t, []int64{available, reserved, sold}, []int64{p.Available, p.Reserved, p.Sold}, "available, reserved, sold of %s", sku)
	require.Equal(w.t, p.Stocked, p.Available+p.Reserved+p.Sold)
}

// order returns an order after comparing it with its timeline.
func (w *world) order(id string) domain.Order {
	w.t.Helper()
	o, err := w.Order(context.Background(), id)
	require.NoError(w.t, err)
	changes, err := w.Timeline(context.Background(), id, 0)
	require.NoError(w.t, err)
	require.Len(w.t, changes, int(o.Version))
	from := domain.Status("")
	for i, c := range changes {
		require.EqualValues(w.t, i+1, c.Number)
		require.Equal(w.t, from, c.From)
		require.True(w.t, c.From == c.To || c.From.CanBecome(c.To), "%s -> %s", c.From, c.To)
		from = c.To
	}
	require.Equal(w.t, o.Status, from)
	return o
}

// is expects status and reason of an order.
func (w *world) is(id string, status domain.Status, reason string) {
	w.t.Helper()
	o := w.order(id)
	require.Equal(w.t, string(status)+" "+reason, string(o.Status)+" "+o.Reason)
}

// says expects messages with these events and ids, in order, and returns their bodies.
func says(t *testing.T, got []messages.Message, want ...messages.Message) {
	t.Helper()
	ids := func(msgs []messages.Message) []string {
		var ids []string
		for _, m := range msgs {
			r, err := messages.Message{ID: m.ID, Event: m.Event, Time: time.Unix(1, 0)}.Record()
			require.NoError(t, err)
			ids = append(ids, m.ID+" "+string(r.Value))
		}
		return ids
	}
	require.Equal(t, ids(want), ids(got))
}

func msg(step string, e messages.Event) messages.Message {
	return messages.Message{ID: messages.ID(e.Key(), e.EventName(), step), Event: e}
}

// The messages that most tests are about: order "o" of user "u" over 10 USD.
func plain() messages.OrderPlaced {
	return messages.OrderPlaced{OrderID: "o", UserID: "u", Total: usd(1000), HasTotal: true}
}

func of(sku string, quantity int) messages.OrderPlaced {
	return messages.OrderPlaced{OrderID: "o", UserID: "u", Total: messages.Money{Currency: "USD"},
		Items: []messages.Item{{SKU: sku, Quantity: quantity}}}
}

func captured() messages.PaymentCaptured {
	return messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: usd(1000), PaymentID: "pay-1"}
}

func paymentFailed(reason string) messages.PaymentFailed {
	return messages.PaymentFailed{OrderID: "o", UserID: "u", Total: usd(1000), Reason: reason}
}

func refunded() messages.PaymentRefunded {
	return messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: usd(1000), PaymentID: "pay-1"}
}

func voided() messages.PaymentRefunded {
	return messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: usd(0)}
}

func requested(items ...messages.Item) messages.Message {
	return msg("reserve", messages.PaymentRequested{OrderID: "o", UserID: "u", Amount: usd(1000), Items: items, Step: "order_placed"})
}

// refund is a request of a refund. name is the step in its id, cause is the step in its body.
func refund(name, reason string) messages.Message {
	cause := map[string]string{"cancel": "http", "timeout": "timeout", "short": "payment_captured", "late": "payment_captured"}[name]
	return msg(name, messages.RefundRequested{OrderID: "o", UserID: "u", Amount: usd(1000), Reason: reason, Step: cause})
}

func mail(kind, text string) messages.Message {
	return msg(kind, messages.NotificationRequested{UserID: "u", OrderID: "o", Kind: kind, Message: text, Channel: "email"})
}

// twoOfA are the lines of order "o" when it has two pieces of "a".
func twoOfA() []messages.Item {
	price := usd(500)
	return []messages.Item{{SKU: "a", Quantity: 2, UnitPrice: &price}}
}

func orderConfirmed(items ...messages.Item) messages.Message {
	return msg("payment_captured", messages.OrderConfirmed{OrderID: "o", UserID: "u", Total: usd(1000), Items: items, PaymentID: "pay-1", Step: "payment_captured"})
}

// orderCancelled is the outcome of an order without a payment when paymentID is "".
func orderCancelled(step, paymentID string, items ...messages.Item) messages.Message {
	return msg(step, messages.OrderCancelled{OrderID: "o", UserID: "u", Total: usd(1000), Items: items, PaymentID: paymentID,
		Reason: "cancelled_by_user", Step: step})
}

// orderLost is the outcome of an order whose payment was given back without a request of this service.
func orderLost(paymentID string, items ...messages.Item) messages.Message {
	return msg("payment_refunded", messages.OrderCancelled{OrderID: "o", UserID: "u", Total: usd(1000), Items: items, PaymentID: paymentID,
		Reason: "payment_refunded", Step: "payment_refunded"})
}

func orderFailed(reason, paymentID string, items ...messages.Item) messages.Message {
	return msg("payment_refunded", messages.OrderFailed{OrderID: "o", UserID: "u", Total: usd(1000), Items: items, PaymentID: paymentID,
		Reason: reason, Step: "payment_refunded"})
}

func confirmed() messages.Message { return mail("confirmed", "Order o confirmed!") }
