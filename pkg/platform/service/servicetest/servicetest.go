// Package servicetest is the vocabulary of the tests that run a whole service: a World is one test's corner of Kafka and
// Postgres, with an observer that reads what the service publishes; a Service is the service that runs there.
//
//	w := servicetest.Setup(t, "parcels", migrations.Up)
//	cfg := servicetest.Config[parcels.Config](w)
//	s := w.Start(&cfg.Base, func(ctx context.Context) error { return parcels.Run(ctx, cfg, w.Log) })
//	w.Publish(messages.OrderConfirmed{OrderID: "o1", UserID: "u1"})
//	s.Answers(s.Public+"/parcels/o1", http.StatusOK, `"status":"packed"`)
package servicetest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/testkit"
)

// World is one test's corner of Kafka and Postgres: topics and groups with a prefix, and a database, of its own.
type World struct {
	T        *testing.T
	Kafka    kafka.Config
	DB       *pgxpool.Pool // as the service's role
	Log      *slog.Logger  // its lines are shown when the test fails
	Logs     *Buffer
	Producer *bus.Producer

	environ map[string]string
	seen    seen
}

// Setup makes a World with the contract's topics, of three partitions each, on the tests' broker and a migrated database.
func Setup(t *testing.T, service string, migrate testkit.Migrate) *World {
	t.Helper()
	w := New(t, service, testkit.Brokers(t), testkit.Database(t, migrate))
	w.CreateTopics(3)
	return w
}

// New makes a World on a given broker and database, and asks nothing of either yet.
func New(t *testing.T, service string, brokers []string, db *testkit.DB) *World {
	t.Helper()
	w := &World{T: t, DB: db.Pool(t, service), Logs: &Buffer{}, seen: seen{byID: make(map[string]messages.Event)}}
	w.Log = slog.New(slog.NewTextHandler(w.Logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	t.Cleanup(func() {
		assert.Empty(t, w.seen.wrong)
		if t.Failed() {
			t.Log(w.Logs.String())
		}
	})
	prefix := testkit.Prefix(t)
	w.Kafka = kafka.Config{Brokers: brokers, TopicPrefix: prefix, GroupPrefix: prefix}
	w.environ = map[string]string{"DATABASE_URL": db.URL(service), "KAFKA_BROKERS": strings.Join(brokers, ","),
		"KAFKA_TOPIC_PREFIX": prefix, "KAFKA_GROUP_PREFIX": prefix}
	var err error
	w.Producer, err = bus.NewProducer(bus.ProducerConfig{Config: w.Kafka, Service: "test", Log: w.Log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Producer.Close()) })
	return w
}

// Config returns a service's configuration for the World: where Kafka and the database are, and the defaults of the rest.
func Config[C any](w *World) C {
	w.T.Helper()
	cfg, err := run.Parse[C](w.environ)
	require.NoError(w.T, err)
	return cfg
}

// CreateTopics creates the contract's topics.
func (w *World) CreateTopics(partitions int32) {
	w.T.Helper()
	var topics []kafka.TopicSpec
	for _, topic := range messages.Topics() {
		topics = append(topics, kafka.TopicSpec{Name: topic.Name, Partitions: partitions, ReplicationFactor: 1})
	}
	_, err := kafka.CreateTopics(w.T.Context(), w.Kafka, topics)
	require.NoError(w.T, err)
}

// Write puts a body on a topic as a foreign client would: without key and headers.
func (w *World) Write(topic, body string) {
	w.T.Helper()
	require.NoError(w.T, w.Producer.PublishRecords(w.T.Context(), messages.Record{Topic: topic, Value: []byte(body)}))
}

// Publish publishes events as another service would.
func (w *World) Publish(events ...messages.Event) {
	w.T.Helper()
	for _, e := range events {
		require.NoError(w.T, w.Producer.Publish(w.T.Context(), messages.Message{ID: messages.ID(e.Key(), e.EventName(), "test"),
			Event: e, Time: time.Now()}))
	}
}

// Rows counts the rows of a table of the service, or of a table and a WHERE clause.
func (w *World) Rows(table string) int {
	w.T.Helper()
	var n int
	require.NoError(w.T, w.DB.QueryRow(w.T.Context(), `SELECT count(*) FROM `+table).Scan(&n))
	return n
}

// Observe starts to read events, made by Sees, that the service publishes. A message that is published again must be the same.
func (w *World) Observe(events ...func(*World) bus.Route) {
	w.T.Helper()
	var table bus.Table
	for _, event := range events {
		table = append(table, event(w))
	}
	w.Consume("observer", table)
}

// Consume runs handlers of a test in a consumer group of its own.
func (w *World) Consume(group string, table bus.Table) {
	w.T.Helper()
	c, err := bus.NewConsumer(bus.ConsumerConfig{Config: w.Kafka, Service: group, Publisher: w.Producer, Parker: &w.seen,
		Log: w.Log, Metrics: prometheus.NewRegistry(), Table: table})
	require.NoError(w.T, err)
	Background(w.T, c.Run)
}

// Sees is for Observe: `w.Observe(servicetest.Sees[messages.PaymentCaptured])`.
func Sees[E messages.Event](w *World) bus.Route {
	return bus.On(func(_ context.Context, batch []bus.In[E]) []bus.Result {
		for _, in := range batch {
			w.seen.add(in.ID, in.Event)
		}
		return make([]bus.Result, len(batch))
	})
}

// Await waits for a message that was observed, by the parts of its id.
func (w *World) Await(key, event, step string) messages.Event {
	w.T.Helper()
	id := messages.ID(key, event, step)
	testkit.Eventually(w.T, func() error {
		if w.seen.get(id) == nil {
			return fmt.Errorf("%s of %s is not published", event, key)
		}
		return nil
	})
	return w.seen.get(id)
}

// Observed returns the ids of all messages that were observed, sorted.
func (w *World) Observed() []string {
	w.seen.mu.Lock()
	defer w.seen.mu.Unlock()
	return slices.Sorted(maps.Keys(w.seen.byID))
}

// Forget allows a message that was observed to differ when it is published again.
func (w *World) Forget(id string) {
	w.seen.mu.Lock()
	defer w.seen.mu.Unlock()
	delete(w.seen.byID, id)
}

// seen has the observed events by message id.
type seen struct {
	mu    sync.Mutex
	byID  map[string]messages.Event
	wrong []string
}

func (s *seen) add(id string, e messages.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, again := s.byID[id]; again && !reflect.DeepEqual(before, e) {
		s.wrong = append(s.wrong, fmt.Sprintf("message %s was %v and is %v", id, before, e))
	}
	s.byID[id] = e
}

func (s *seen) get(id string) messages.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// Park implements bus.Parker: the observer reads a test's invalid records, too.
func (s *seen) Park(context.Context, messages.Record, string, string, string) error { return nil }

// Buffer collects what several goroutines write.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written so far.
func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
