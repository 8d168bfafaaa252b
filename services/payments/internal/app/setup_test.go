package app_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider/simulated"
	"pasdetrois/services/payments/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is one test's database, provider and service.
type world struct {
	t        *testing.T
	db       *pgxpool.Pool
	provider *hookedProvider
	store    *hookedStore
	metrics  *prometheus.Registry
	*app.App
}

func setup(t *testing.T) *world {
	t.Helper()
	db := testkit.Database(t, migrations.Up).Pool(t, "payments")
	w := &world{t: t, db: db, metrics: prometheus.NewRegistry(),
		provider: &hookedProvider{Provider: simulated.New(simulated.Config{Books: db})},
		store:    &hookedStore{Store: store.New(db)}}
	limits, err := domain.ParseFraudLimits("900.00")
	require.NoError(t, err)
	w.App = app.New(app.Config{Store: w.store, Provider: w.provider, FraudLimits: limits, AlertEmail: "security@example.com",
		Metrics: app.NewMetrics(w.metrics), Log: slog.New(slog.DiscardHandler), Now: clock()})
	return w
}

// other is a second replica: same database and provider, nothing in common otherwise.
func (w *world) other() *app.App {
	cfg := w.Configured()
	cfg.Store, cfg.Provider = w.store.Store, w.provider.Provider
	cfg.Metrics = app.NewMetrics(prometheus.NewRegistry())
	return app.New(cfg)
}

// clock returns a clock that goes on by a second with each look.
func clock() func() time.Time {
	var mu sync.Mutex
	now := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

var errDown = errors.New("down")

// hookedProvider calls the hooks that are set around the simulated provider's calls.
type hookedProvider struct {
	app.Provider
	beforeCharge, afterCharge, beforeRefund, afterRefund, beforeLookup func() error
}

func (p *hookedProvider) Charge(ctx context.Context, c app.Charge) (domain.Answer, error) {
	if err := hook(p.beforeCharge); err != nil {
		return domain.Answer{}, err
	}
	answer, err := p.Provider.Charge(ctx, c)
	return answer, errors.Join(err, hook(p.afterCharge))
}

func (p *hookedProvider) Refund(ctx context.Context, key string) error {
	if err := hook(p.beforeRefund); err != nil {
		return err
	}
	err := p.Provider.Refund(ctx, key)
	return errors.Join(err, hook(p.afterRefund))
}

func (p *hookedProvider) Lookup(ctx context.Context, key string) (bool, error) {
	if err := hook(p.beforeLookup); err != nil {
		return false, err
	}
	return p.Provider.Lookup(ctx, key)
}

// hookedStore calls the hooks that are set around the store's writes. An error after a write is a commit whose outcome
// is unknown.
type hookedStore struct {
	app.Store
	beforeRead, beforeOpen, afterOpen, beforeRefund, afterRefund func() error
}

func (s *hookedStore) Payments(ctx context.Context, ids []string) (map[string]domain.Payment, error) {
	if err := hook(s.beforeRead); err != nil {
		return nil, err
	}
	return s.Store.Payments(ctx, ids)
}

func (s *hookedStore) Open(ctx context.Context, ps []domain.Payment) (map[string]app.Kept, error) {
	if err := hook(s.beforeOpen); err != nil {
		return nil, err
	}
	kept, err := s.Store.Open(ctx, ps)
	return kept, errors.Join(err, hook(s.afterOpen))
}

func (s *hookedStore) Refund(ctx context.Context, refunded, tombstones []domain.Payment) (map[string]app.Kept, error) {
	if err := hook(s.beforeRefund); err != nil {
		return nil, err
	}
	kept, err := s.Store.Refund(ctx, refunded, tombstones)
	return kept, errors.Join(err, hook(s.afterRefund))
}

func hook(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

// once returns a hook that fails the first time.
func once(err error) func() error {
	return func() error {
		e := err
		err = nil
		return e
	}
}

// do returns a hook that runs f the first time.
func do(f func()) func() error {
	var first sync.Once
	return func() error { first.Do(f); return nil }
}

func usd(minor int64) messages.Money { return messages.Money{Minor: minor, Currency: "USD"} }

func ask(order string, minor int64) messages.PaymentRequested {
	return messages.PaymentRequested{OrderID: order, UserID: "u1", Amount: usd(minor)}
}

func askWith(order string, minor int64, method string) messages.PaymentRequested {
	e := ask(order, minor)
	e.PaymentMethod = method
	return e
}

func back(order string, minor int64) messages.RefundRequested {
	return messages.RefundRequested{OrderID: order, UserID: "u1", Amount: usd(minor), Reason: "cancelled"}
}

func in[E messages.Event](events ...E) []bus.In[E] {
	batch := make([]bus.In[E], len(events))
	for i, e := range events {
		batch[i] = bus.In[E]{ID: messages.ID(e.Key(), e.EventName(), "test"), Event: e, Time: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	}
	return batch
}

func request(t *testing.T, a *app.App, events ...messages.PaymentRequested) []bus.Result {
	t.Helper()
	results := a.OnPaymentRequested(t.Context(), in(events...))
	require.Len(t, results, len(events))
	return results
}

func refund(t *testing.T, a *app.App, events ...messages.RefundRequested) []bus.Result {
	t.Helper()
	results := a.OnRefundRequested(t.Context(), in(events...))
	require.Len(t, results, len(events))
	return results
}

// published returns the events of a result without error, every one of which must be fit for the wire.
func published(t *testing.T, r bus.Result) []messages.Event {
	t.Helper()
	require.NoError(t, r.Err)
	var events []messages.Event
	for _, m := range r.Publish {
		_, err := m.Record()
		require.NoError(t, err)
		events = append(events, m.Event)
	}
	return events
}

func requireParked(t *testing.T, r bus.Result) {
	t.Helper()
	require.Equal(t, fault.Permanent, fault.KindOf(r.Err), "%v", r.Err)
	require.Equal(t, app.ReasonContradictsState, fault.Reason(r.Err))
	require.Empty(t, r.Publish)
}

func requireTransient(t *testing.T, r bus.Result) {
	t.Helper()
	require.Error(t, r.Err)
	require.Equal(t, fault.Transient, fault.KindOf(r.Err))
	require.Empty(t, r.Publish)
}

// entry is a row of the provider's books.
type entry struct {
	PaymentID   string
	Status      string
	AmountMinor int64
	ChargeCalls int
	RefundCalls int
}

// ledger returns the provider's entries for an order, whatever key they were made under.
func (w *world) ledger(order string) []entry {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT payment_id, status, amount_minor, charge_calls, refund_calls
		FROM provider_ledger WHERE order_id = $1 ORDER BY created_at`, order)
	require.NoError(w.t, err)
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	require.NoError(w.t, err)
	return entries
}

func (w *world) payment(order string) domain.Payment {
	w.t.Helper()
	p, err := w.Get(w.t.Context(), order)
	require.NoError(w.t, err)
	return p
}
