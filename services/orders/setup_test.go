package orders_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is one test's corner of Kafka and Postgres, with someone who reads all that orders publishes.
type world struct {
	t         *testing.T
	cfg       orders.Config
	db        *pgxpool.Pool
	log       *slog.Logger
	logs      *lockedBuffer
	producer  *bus.Producer
	published *seen
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupOn(t, testkit.Brokers(t), testkit.Database(t, migrations.Up))
}

// setupOn is setup on given parts.
func setupOn(t *testing.T, brokers []string, db *testkit.DB) *world {
	t.Helper()
	w := newWorld(t, brokers, db)
	w.createTopics()
	w.observe()
	return w
}

// newWorld asks nothing of Kafka and Postgres yet.
func newWorld(t *testing.T, brokers []string, db *testkit.DB) *world {
	t.Helper()
	w := &world{t: t, db: db.Pool(t, "orders"), published: &seen{byID: make(map[string]messages.Event)}, logs: &lockedBuffer{}}
	w.log = slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	t.Cleanup(func() {
		assert.Empty(t, w.published.wrong)
		if t.Failed() {
			t.Log(w.logs.String())
		}
	})
	w.cfg = configFrom(t, map[string]string{"DATABASE_URL": db.URL("orders"), "SWEEP_INTERVAL": "20ms", "OUTBOX_POLL": "20ms", "OUTBOX_GRACE": "100ms"})
	prefix := testkit.Prefix(t)
	w.cfg.Config = bus.Config{Brokers: brokers, TopicPrefix: prefix, GroupPrefix: prefix}
	var err error
	w.producer, err = bus.NewProducer(w.cfg.Config, "test", w.log)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.producer.Close()) })
	return w
}

func (w *world) createTopics() {
	w.t.Helper()
	var topics []bus.TopicSpec
	for _, name := range messages.TopicNames() {
		topics = append(topics, bus.TopicSpec{Name: name, Partitions: 2, ReplicationFactor: 1})
	}
	_, err := bus.CreateTopics(w.t.Context(), w.cfg.Config, topics)
	require.NoError(w.t, err)
}

// observe starts to read what is published.
func (w *world) observe() {
	w.t.Helper()
	observer, err := bus.NewConsumer(bus.ConsumerConfig{Config: w.cfg.Config, Service: "observer", Publisher: w.producer,
		Parker: w.published, Log: w.log, Metrics: prometheus.NewRegistry(), Table: bus.Table{
			bus.On(see[messages.PaymentRequested](w.published)),
			bus.On(see[messages.RefundRequested](w.published)),
			bus.On(see[messages.OrderRejected](w.published)),
			bus.On(see[messages.NotificationRequested](w.published)),
		}})
	require.NoError(w.t, err)
	background(w.t, observer.Run)
}

// background runs something until the test ends or stop is called, which waits for its end.
func background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(30 * time.Second):
			require.FailNow(t, "it did not stop")
		}
	})
	t.Cleanup(stop)
	return stop
}

// service is a running orders service.
type service struct {
	t             *testing.T
	public, admin string
	stop          func()
}

func (w *world) start(change ...func(c *orders.Config)) *service {
	w.t.Helper()
	cfg := w.cfg
	for _, c := range change {
		c(&cfg)
	}
	require.NoError(w.t, cfg.Validate())
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(w.t, err)
		return l
	}
	cfg.HTTPListener, cfg.AdminListener = listen(), listen()
	s := &service{t: w.t, public: "http://" + cfg.HTTPListener.Addr().String(), admin: "http://" + cfg.AdminListener.Addr().String()}
	s.stop = background(w.t, func(ctx context.Context) error { return orders.Run(ctx, cfg, w.log) })
	return s
}

func (s *service) get(url string) (int, string) {
	s.t.Helper()
	status, body, err := fetch(s.t, http.MethodGet, url)
	require.NoError(s.t, err)
	return status, body
}

func fetch(t *testing.T, method, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// write puts a body on a topic as a foreign client would: no key, no headers.
func (w *world) write(topic, body string) {
	w.t.Helper()
	require.NoError(w.t, w.producer.PublishRecords(w.t.Context(), messages.Record{Topic: topic, Value: []byte(body)}))
}

func (w *world) publish(events ...messages.Event) {
	w.t.Helper()
	for _, e := range events {
		require.NoError(w.t, w.producer.Publish(w.t.Context(), messages.Message{ID: messages.ID(e.Key(), e.EventName(), "test"),
			Event: e, Time: time.Now()}))
	}
}

// await waits for a message by its id.
func (w *world) await(orderID, event, step string) messages.Event {
	w.t.Helper()
	id := messages.ID(orderID, event, step)
	testkit.Eventually(w.t, func() error {
		if w.published.get(id) == nil {
			return fmt.Errorf("%s of order %s is not published", event, orderID)
		}
		return nil
	})
	return w.published.get(id)
}

func usd(minor int64) messages.Money { return messages.Money{Minor: minor, Currency: "USD"} }

// seen is what was published, by message id. A message published again must be the same.
type seen struct {
	mu    sync.Mutex
	byID  map[string]messages.Event
	wrong []string
}

// ids returns all ids, sorted.
func (s *seen) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.byID))
}

func (s *seen) get(id string) messages.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

func see[E messages.Event](s *seen) bus.Handler[E] {
	return func(_ context.Context, batch []bus.In[E]) []bus.Result {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, in := range batch {
			if before, again := s.byID[in.ID]; again && !reflect.DeepEqual(before, messages.Event(in.Event)) {
				s.wrong = append(s.wrong, fmt.Sprintf("message %s was %v and is %v", in.ID, before, in.Event))
			}
			s.byID[in.ID] = in.Event
		}
		return make([]bus.Result, len(batch))
	}
}

// Park implements bus.Parker: the observer meets the test's poison, too.
func (s *seen) Park(context.Context, messages.Record, string, string, string) error { return nil }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
