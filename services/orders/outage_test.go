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

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
)

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
	w.T.Helper()
	p := &places{seen: make(map[string]map[string]bool)}
	w.Consume("counter", bus.Table{bus.On(count[messages.OrderPlaced](p)), bus.On(count[messages.PaymentRequested](p))})
	return p
}

// everyOnce waits until each order's messages are on the topics, and none of them twice.
func (w *world) everyOnce(orderIDs []string) {
	w.T.Helper()
	all := w.count()
	for _, id := range orderIDs {
		placed, requested := messages.ID(id, messages.EventOrderPlaced, "placed"), messages.ID(id, messages.EventPaymentRequested, "reserve")
		testkit.Eventually(w.T, func() error {
			if all.of(placed) == 0 || all.of(requested) == 0 {
				return fmt.Errorf("order %s: %d order_placed, %d payment_requested", id, all.of(placed), all.of(requested))
			}
			return nil
		})
		w.status(id, "awaiting_payment")
	}
	testkit.Eventually(w.T, func() error {
		if n := w.Rows("outbox"); n > 0 {
			return fmt.Errorf("%d messages are left in the outbox", n)
		}
		return nil
	})
	for _, id := range orderIDs {
		require.Equal(w.T, 1, all.of(messages.ID(id, messages.EventOrderPlaced, "placed")), id)
		require.Equal(w.T, 1, all.of(messages.ID(id, messages.EventPaymentRequested, "reserve")), id)
	}
	require.Zero(w.T, w.Rows("dead_letters"))
}

func TestOrdersAreTakenWhileKafkaIsDownAndGoOnWhenItIsBack(t *testing.T) {
	t.Parallel()
	broker := testkit.OwnBroker(t)
	w := setupOn(t, broker.Addrs(), testkit.Database(t, migrations.Up))
	s := w.start()
	s.Ready(http.StatusOK)
	require.Equal(t, http.StatusAccepted, s.takes("before"))
	w.Await("before", messages.EventPaymentRequested, "reserve")

	broker.Stop()
	orders := []string{"before"}
	for i := range 20 {
		orders = append(orders, fmt.Sprint("during-", i))
		require.Equal(t, http.StatusAccepted, s.takes(orders[len(orders)-1]))
	}
	s.Ready(http.StatusServiceUnavailable, `"postgres":"ok"`, `"consumer":"kafka: `)
	s.takesRequests(http.StatusOK)
	testkit.Eventually(t, func() error {
		if n := w.Rows("outbox"); n != 20 {
			return fmt.Errorf("%d messages wait in the outbox", n)
		}
		return nil
	})

	broker.Start()
	w.everyOnce(orders)
	s.Ready(http.StatusOK)
}

func TestMessagesWaitWhilePostgresIsDown(t *testing.T) {
	t.Parallel()
	postgres := testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	w := setupOn(t, testkit.Brokers(t), postgres.DB)
	s := w.start()
	s.Ready(http.StatusOK)
	w.Write(messages.TopicOrders, `{"order_id": "before", "user_id": "u", "total": 1}`)
	w.Await("before", messages.EventPaymentRequested, "reserve")

	postgres.Stop()
	const n = 20
	for i := range n {
		w.Write(messages.TopicOrders, fmt.Sprintf(`{"order_id": "during-%d", "user_id": "u", "total": 1}`, i))
	}
	w.Write(messages.TopicOrders, `no order at all`) // cannot be parked either
	s.Ready(http.StatusServiceUnavailable, `are held up`)
	_, body := s.Get(s.Admin + "/readyz")
	require.NotContains(t, body, `"postgres":"ok"`)
	require.Contains(t, body, `"kafka_producer":"ok"`)
	require.Equal(t, http.StatusServiceUnavailable, s.place("o"))
	s.takesRequests(http.StatusServiceUnavailable)

	postgres.Start()
	for i := range n {
		w.Await(fmt.Sprint("during-", i), messages.EventPaymentRequested, "reserve")
	}
	s.Ready(http.StatusOK)
	var reasons []string
	testkit.Eventually(t, func() error {
		return w.DB.QueryRow(t.Context(), `SELECT coalesce(array_agg(reason), '{}') FROM dead_letters`).Scan(&reasons)
	})
	require.Equal(t, []string{"not_json"}, reasons, "only what can never be handled is parked")
	require.Equal(t, n+1, w.Rows("orders"))
}

func TestServiceStartsBeforeKafkaAndPostgresExist(t *testing.T) {
	t.Parallel()
	broker, postgres := testkit.OwnBroker(t), testkit.OwnPostgres(t)
	broker.Stop()
	postgres.Stop()
	w := newWorld(t, broker.Addrs(), postgres.DB)
	s := w.start()
	s.Ready(http.StatusServiceUnavailable, `"kafka_producer":"kafka producer: `, `"consumer":"kafka: not connected yet"`)
	_, body := s.Get(s.Admin + "/readyz")
	require.NotContains(t, body, `"postgres":"ok"`)
	require.Equal(t, http.StatusServiceUnavailable, s.place("early"))

	postgres.Start()
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	s.Ready(http.StatusServiceUnavailable, `"postgres":"ok"`, `"consumer":"kafka: Kafka at `)
	require.Equal(t, http.StatusAccepted, s.takes("o"), "Kafka is not needed to take an order")

	broker.Start()
	s.Ready(http.StatusServiceUnavailable, `"kafka_producer":"ok"`, `topics are missing`, w.Kafka.TopicPrefix+messages.TopicOrders)
	testkit.Eventually(t, func() error {
		if !strings.Contains(w.Logs.String(), "topics are missing") {
			return errors.New("the log does not say that topics are missing")
		}
		return nil
	})

	w.CreateTopics(2)
	w.observe()
	w.everyOnce([]string{"o"})
	s.Ready(http.StatusOK)
}

// What it has in hand is in the table or unacknowledged: to stop during an outage loses nothing, and is no failure.
func TestStoppingWhileKafkaAndPostgresAreDownIsNoFailure(t *testing.T) {
	t.Parallel()
	broker, postgres := testkit.OwnBroker(t), testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	w := setupOn(t, broker.Addrs(), postgres.DB)
	s := w.start()
	s.Ready(http.StatusOK)
	broker.Stop()
	require.Equal(t, http.StatusAccepted, s.takes("o"))
	postgres.Stop()
	s.Ready(http.StatusServiceUnavailable)
	s.Stop()

	postgres.Start()
	broker.Start()
	s = w.start()
	w.everyOnce([]string{"o"})
	s.Ready(http.StatusOK)
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
	drain := configFrom(t, nil).DrainTimeout
	require.Greater(t, given, 2*drain+5*time.Second+5*time.Second)
}
