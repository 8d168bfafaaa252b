package orders_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
)

// place sends an order over HTTP and returns the answer's status.
func (s *service) place(orderID string) int {
	s.t.Helper()
	status, _ := s.post(orderID)
	return status
}

// post sends an order over HTTP and returns the answer's status and headers.
func (s *service) post(orderID string) (int, http.Header) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.public+"/orders",
		strings.NewReader(fmt.Sprintf(`{"order_id": %q, "user_id": "u", "total": 49.99}`, orderID)))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	require.NoError(s.t, err)
	require.NoError(s.t, resp.Body.Close())
	return resp.StatusCode, resp.Header
}

// says waits until readiness answers with the status and every text.
func (s *service) says(status int, texts ...string) {
	s.t.Helper()
	s.readiness(s.admin+"/readyz", status, texts...)
	live, _ := s.get(s.admin + "/livez")
	require.Equal(s.t, http.StatusOK, live, "an outage of others must not have the service restarted")
}

// takesRequests waits until a load balancer is told to send requests, or not to.
func (s *service) takesRequests(status int) {
	s.t.Helper()
	s.readiness(s.public+"/readyz?for=requests", status)
}

func (s *service) readiness(url string, status int, texts ...string) {
	s.t.Helper()
	testkit.Eventually(s.t, func() error {
		got, body := s.get(url)
		if got != status {
			return fmt.Errorf("readiness is %d: %s", got, body)
		}
		for _, text := range texts {
			if !strings.Contains(body, text) {
				return fmt.Errorf("readiness does not say %s: %s", text, body)
			}
		}
		return nil
	})
}

// places counts the records of each message on the topics, by message id.
type places struct {
	mu   sync.Mutex
	seen map[string]map[string]bool
}

func (p *places) of(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen[id])
}

func count[E messages.Event](p *places) bus.Handler[E] {
	return func(_ context.Context, batch []bus.In[E]) []bus.Result {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, in := range batch {
			if p.seen[in.ID] == nil {
				p.seen[in.ID] = make(map[string]bool)
			}
			p.seen[in.ID][fmt.Sprintf("%s/%d/%d", in.Record.Topic, in.Record.Partition, in.Record.Offset)] = true
		}
		return make([]bus.Result, len(batch))
	}
}

// count reads what is on the topics with a group of its own.
func (w *world) count() *places {
	w.t.Helper()
	p := &places{seen: make(map[string]map[string]bool)}
	c, err := bus.NewConsumer(bus.ConsumerConfig{Config: w.cfg.Config, Service: "counter", Publisher: w.producer, Parker: w.published,
		Log: w.log, Metrics: prometheus.NewRegistry(), Table: bus.Table{bus.On(count[messages.OrderPlaced](p)), bus.On(count[messages.PaymentRequested](p))}})
	require.NoError(w.t, err)
	background(w.t, c.Run)
	return p
}

func (w *world) rows(table string) int {
	w.t.Helper()
	var n int
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT count(*) FROM `+table).Scan(&n))
	return n
}

// everyOnce waits until each order's messages are on the topics, and none of them twice.
func (w *world) everyOnce(orderIDs []string) {
	w.t.Helper()
	all := w.count()
	for _, id := range orderIDs {
		placed, requested := messages.ID(id, messages.EventOrderPlaced, "placed"), messages.ID(id, messages.EventPaymentRequested, "reserve")
		testkit.Eventually(w.t, func() error {
			if all.of(placed) == 0 || all.of(requested) == 0 {
				return fmt.Errorf("order %s: %d order_placed, %d payment_requested", id, all.of(placed), all.of(requested))
			}
			return nil
		})
		w.status(id, "awaiting_payment")
	}
	testkit.Eventually(w.t, func() error {
		if n := w.rows("outbox"); n > 0 {
			return fmt.Errorf("%d messages are left in the outbox", n)
		}
		return nil
	})
	for _, id := range orderIDs {
		require.Equal(w.t, 1, all.of(messages.ID(id, messages.EventOrderPlaced, "placed")), id)
		require.Equal(w.t, 1, all.of(messages.ID(id, messages.EventPaymentRequested, "reserve")), id)
	}
	require.Zero(w.t, w.rows("dead_letters"))
}

func TestOrdersAreTakenWhileKafkaIsDownAndGoOnWhenItIsBack(t *testing.T) {
	t.Parallel()
	broker := testkit.OwnBroker(t)
	w := setupOn(t, broker.Addrs(), testkit.Database(t, migrations.Up))
	s := w.start()
	s.says(http.StatusOK)
	require.Equal(t, http.StatusAccepted, s.place("before"))
	w.await("before", messages.EventPaymentRequested, "reserve")

	broker.Stop()
	orders := []string{"before"}
	for i := range 20 {
		orders = append(orders, fmt.Sprint("during-", i))
		require.Equal(t, http.StatusAccepted, s.place(orders[len(orders)-1]))
	}
	s.says(http.StatusServiceUnavailable, `"postgres":"ok"`, `"consumer":"kafka: `)
	s.takesRequests(http.StatusOK)
	testkit.Eventually(t, func() error {
		if n := w.rows("outbox"); n != 20 {
			return fmt.Errorf("%d messages wait in the outbox", n)
		}
		return nil
	})

	broker.Start()
	w.everyOnce(orders)
	s.says(http.StatusOK)
}

func TestMessagesWaitWhilePostgresIsDown(t *testing.T) {
	t.Parallel()
	postgres := testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	w := setupOn(t, testkit.Brokers(t), postgres.DB)
	s := w.start()
	s.says(http.StatusOK)
	w.write(messages.TopicOrders, `{"order_id": "before", "user_id": "u", "total": 1}`)
	w.await("before", messages.EventPaymentRequested, "reserve")

	postgres.Stop()
	const n = 20
	for i := range n {
		w.write(messages.TopicOrders, fmt.Sprintf(`{"order_id": "during-%d", "user_id": "u", "total": 1}`, i))
	}
	w.write(messages.TopicOrders, `no order at all`) // cannot be parked either
	s.says(http.StatusServiceUnavailable, `are held up`)
	_, body := s.get(s.admin + "/readyz")
	require.NotContains(t, body, `"postgres":"ok"`)
	require.Contains(t, body, `"kafka_producer":"ok"`)
	require.Equal(t, http.StatusServiceUnavailable, s.place("o"))
	s.takesRequests(http.StatusServiceUnavailable)

	postgres.Start()
	for i := range n {
		w.await(fmt.Sprint("during-", i), messages.EventPaymentRequested, "reserve")
	}
	s.says(http.StatusOK)
	var reasons []string
	testkit.Eventually(t, func() error {
		return w.db.QueryRow(t.Context(), `SELECT coalesce(array_agg(reason), '{}') FROM dead_letters`).Scan(&reasons)
	})
	require.Equal(t, []string{"not_json"}, reasons, "only what can never be handled is parked")
	require.Equal(t, n+1, w.rows("orders"))
}

func TestServiceStartsBeforeKafkaAndPostgresExist(t *testing.T) {
	t.Parallel()
	broker, postgres := testkit.OwnBroker(t), testkit.OwnPostgres(t)
	broker.Stop()
	postgres.Stop()
	w := newWorld(t, broker.Addrs(), postgres.DB)
	s := w.start()
	s.says(http.StatusServiceUnavailable, `"kafka_producer":"kafka producer: `, `"consumer":"kafka: not connected yet"`)
	_, body := s.get(s.admin + "/readyz")
	require.NotContains(t, body, `"postgres":"ok"`)
	require.Equal(t, http.StatusServiceUnavailable, s.place("early"))

	postgres.Start()
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	s.says(http.StatusServiceUnavailable, `"postgres":"ok"`, `"consumer":"kafka: Kafka at `)
	require.Equal(t, http.StatusAccepted, s.place("o"), "Kafka is not needed to take an order")

	broker.Start()
	s.says(http.StatusServiceUnavailable, `"kafka_producer":"ok"`, `topics are missing`, w.cfg.TopicPrefix+messages.TopicOrders)
	testkit.Eventually(t, func() error {
		if !strings.Contains(w.logs.String(), "topics are missing") {
			return errors.New("the log does not say that topics are missing")
		}
		return nil
	})

	w.createTopics()
	w.observe()
	w.everyOnce([]string{"o"})
	s.says(http.StatusOK)
}

// What it has in hand is in the table or unacknowledged: to stop during an outage loses nothing, and is no failure.
func TestStoppingWhileKafkaAndPostgresAreDownIsNoFailure(t *testing.T) {
	t.Parallel()
	broker, postgres := testkit.OwnBroker(t), testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	w := setupOn(t, broker.Addrs(), postgres.DB)
	s := w.start()
	s.says(http.StatusOK)
	broker.Stop()
	require.Equal(t, http.StatusAccepted, s.place("o"))
	postgres.Stop()
	s.says(http.StatusServiceUnavailable)
	s.stop()

	postgres.Start()
	broker.Start()
	s = w.start()
	w.everyOnce([]string{"o"})
	s.says(http.StatusOK)
}

// A container that is killed while it still drains has worked for nothing: what it had in hand is done again. Twice the
// drain (for what is in work, then for the outbox), 5 s to leave a hanging broker's groups and 5 s to close its producer.
func TestTheLongestShutdownFitsIntoTheContainersGrace(t *testing.T) {
	t.Parallel()
	compose, err := os.ReadFile("../../deploy/compose/compose.yaml")
	require.NoError(t, err)
	_, service, found := strings.Cut(string(compose), "x-service:")
	require.True(t, found)
	_, grace, found := strings.Cut(service, "stop_grace_period: ")
	require.True(t, found)
	grace, _, _ = strings.Cut(grace, "\n")
	given, err := time.ParseDuration(grace)
	require.NoError(t, err)
	drain := configFrom(t, map[string]string{"DATABASE_URL": "postgres://o@localhost/o"}).DrainTimeout
	require.Greater(t, given, 2*drain+5*time.Second+5*time.Second)
}
