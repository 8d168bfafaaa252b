package app_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var errDown = errors.New("down")

// world is one test's database and the mail server that all its replicas share.
type world struct {
	t     *testing.T
	db    *pgxpool.Pool
	mail  *mailbox
	kafka *topic
}

func setup(t *testing.T) *world {
	t.Helper()
	return &world{t: t, db: testkit.Database(t, migrations.Up).Pool(t, "notifications"), mail: &mailbox{}, kafka: &topic{}}
}

// replica is one process of the service: its own memory over the shared database.
type replica struct {
	*app.App
	dispatcher *app.Dispatcher
	recorder   *app.Recorder
	store      *hookedStore
	metrics    *prometheus.Registry
}

func (w *world) replica(change ...func(*app.DispatcherConfig)) *replica {
	r := &replica{store: &hookedStore{Store: store.New(w.db)}, metrics: prometheus.NewRegistry()}
	m := app.NewMetrics(r.metrics)
	log := slog.New(slog.DiscardHandler)
	r.recorder = app.NewRecorder(app.RecorderConfig{Store: r.store, Publisher: w.kafka, Log: log, Wait: 200 * time.Millisecond})
	cfg := app.DispatcherConfig{Store: r.store, Sender: w.mail, Recorder: r.recorder, Metrics: m, Log: log, Poll: 5 * time.Millisecond,
		Retries: domain.Retries{Backoff: domain.Backoff{First: 5 * time.Millisecond, Max: 20 * time.Millisecond}, For: time.Hour}}
	for _, c := range change {
		c(&cfg)
	}
	r.dispatcher = app.NewDispatcher(cfg)
	r.App = app.New(app.Config{Store: r.store, Dispatcher: r.dispatcher, Metrics: m, Log: log})
	return r
}

// start runs the replica's dispatcher. The function that it returns drains it; the test's end does so at the latest.
func (w *world) start(r *replica) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.dispatcher.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(w.t, <-done)
	})
	w.t.Cleanup(stop)
	return stop
}

func batch(in ...bus.In[messages.NotificationRequested]) []bus.In[messages.NotificationRequested] {
	return in
}

// shortLease makes a replica's claims end almost at once, as if the test had waited.
func shortLease(c *app.DispatcherConfig) {
	c.SendTimeout, c.Lease = 100*time.Millisecond, 150*time.Millisecond
}

// ask gives messages to the replica's use case and returns the results.
func (w *world) ask(r *replica, batch ...bus.In[messages.NotificationRequested]) []bus.Result {
	w.t.Helper()
	results := r.OnNotificationRequested(w.t.Context(), batch)
	require.Len(w.t, results, len(batch))
	for _, result := range results {
		require.Empty(w.t, result.Publish)
	}
	return results
}

// must is ask for messages that succeed.
func (w *world) must(r *replica, batch ...bus.In[messages.NotificationRequested]) {
	w.t.Helper()
	for _, result := range w.ask(r, batch...) {
		require.NoError(w.t, result.Err)
	}
}

// parks requires that a request is refused for good, which is what gets it parked.
func (w *world) parks(r *replica, in bus.In[messages.NotificationRequested]) {
	w.t.Helper()
	err := w.ask(r, in)[0].Err
	require.Equal(w.t, "contradicts_state", fault.Reason(err), "%v", err)
}

// settled waits until the table holds exactly the wanted statuses.
func (w *world) settled(want map[domain.Status]int) {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		if have := w.statuses(); !equal(have, want) {
			return errors.New("the table does not hold what is wanted")
		}
		return nil
	})
}

func (w *world) statuses() map[domain.Status]int {
	w.t.Helper()
	have := make(map[domain.Status]int)
	for _, n := range w.all() {
		have[n.Status]++
	}
	return have
}

func equal(a, b map[domain.Status]int) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// all returns every notification, oldest first.
func (w *world) all() []domain.Notification {
	w.t.Helper()
	found, err := store.New(w.db).List(w.t.Context(), app.Query{Limit: 10_000})
	require.NoError(w.t, err)
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	return found
}

// counter returns a metric's value by its label.
func (r *replica) counter(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "pasdetrois_notifications_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

var sentAt = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// about returns the message that one of our own services publishes about an order.
func about(order, kind string) bus.In[messages.NotificationRequested] {
	return bus.In[messages.NotificationRequested]{ID: messages.ID(order, messages.EventNotificationRequested, kind), Time: sentAt,
		Event: messages.NotificationRequested{UserID: "u1", Message: "Order " + order + " " + kind + "!",
			Channel: messages.ChannelEmail, OrderID: order, Kind: kind}}
}

// plain returns a foreign producer's minimal message.
func plain(id, text string) bus.In[messages.NotificationRequested] {
	return bus.In[messages.NotificationRequested]{ID: id, Time: sentAt,
		Event: messages.NotificationRequested{UserID: "u1", Message: text, Channel: messages.ChannelEmail}}
}

// hookedStore calls the hooks that are set around the store's writes. An error of afterAdd is a commit whose outcome is
// unknown.
type hookedStore struct {
	app.Store
	beforeAdd, afterAdd, beforeSettle func() error
	afterClaim                        func(claimed []domain.Notification)
}

func (s *hookedStore) Add(ctx context.Context, batch []domain.Notification, lease time.Duration) ([]app.Kept, error) {
	if s.beforeAdd != nil {
		if err := s.beforeAdd(); err != nil {
			return nil, err
		}
	}
	kept, err := s.Store.Add(ctx, batch, lease)
	if err == nil && s.afterAdd != nil {
		err = s.afterAdd()
	}
	return kept, err
}

func (s *hookedStore) Claim(ctx context.Context, limit int, lease time.Duration) ([]domain.Notification, error) {
	claimed, err := s.Store.Claim(ctx, limit, lease)
	if s.afterClaim != nil {
		s.afterClaim(claimed)
	}
	return claimed, err
}

func (s *hookedStore) Settle(ctx context.Context, outcomes []app.Outcome) error {
	if s.beforeSettle != nil {
		if err := s.beforeSettle(); err != nil {
			return err
		}
	}
	return s.Store.Settle(ctx, outcomes)
}

// failing returns a hook that fails so many times.
func failing(times int64) func() error {
	var calls atomic.Int64
	return func() error {
		if calls.Add(1) <= times {
			return errDown
		}
		return nil
	}
}

// wait fails the test when ch is not closed, or sent to, in time.
func wait[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("it did not happen in time")
		panic("unreachable")
	}
}
