package orders_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/service/servicetest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is a servicetest.World in which all that orders publishes is observed.
type world struct {
	*servicetest.World
	cfg orders.Config
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupOn(t, testkit.Brokers(t), testkit.Database(t, migrations.Up))
}

func setupOn(t *testing.T, brokers []string, db *testkit.DB) *world {
	t.Helper()
	w := newWorld(t, brokers, db)
	w.CreateTopics(2)
	w.observe()
	return w
}

// newWorld asks nothing of Kafka and Postgres yet.
func newWorld(t *testing.T, brokers []string, db *testkit.DB) *world {
	t.Helper()
	w := servicetest.New(t, "orders", brokers, db)
	cfg := servicetest.Config[orders.Config](w)
	cfg.SweepEvery, cfg.OutboxPoll, cfg.OutboxGrace = 20*time.Millisecond, 20*time.Millisecond, 100*time.Millisecond
	return &world{w, cfg}
}

func (w *world) observe() {
	w.T.Helper()
	w.Observe(servicetest.Sees[messages.PaymentRequested], servicetest.Sees[messages.RefundRequested],
		servicetest.Sees[messages.OrderRejected], servicetest.Sees[messages.NotificationRequested],
		servicetest.Sees[messages.OrderConfirmed], servicetest.Sees[messages.OrderCancelled], servicetest.Sees[messages.OrderFailed])
}

// service is a running orders service.
type service struct{ *servicetest.Service }

func (w *world) start(change ...func(c *orders.Config)) service {
	w.T.Helper()
	cfg := w.cfg
	for _, c := range change {
		c(&cfg)
	}
	return service{w.Start(&cfg.Base, func(ctx context.Context) error { return orders.Run(ctx, cfg, w.Log) })}
}

// place sends an order over HTTP and returns the answer's status.
func (s service) place(orderID string) int {
	s.T.Helper()
	status, _ := s.post(orderID)
	return status
}

// takes places an order, as a client does on a busy machine: it comes back after a 503. It returns 202 once the order is taken.
func (s service) takes(orderID string) int { return s.retried(orderID, "try again") }

// retried places an order again while the answer is a 503 with the text, and returns the last status.
func (s service) retried(orderID, text string) (status int) {
	s.T.Helper()
	testkit.Eventually(s.T, func() error {
		got, body, _, err := servicetest.Fetch(s.T, http.MethodPost, s.Public+"/orders",
			fmt.Sprintf(`{"order_id": %q, "user_id": "u", "total": 49.99}`, orderID))
		if status = got; err == nil && got == http.StatusServiceUnavailable && strings.Contains(body, text) {
			return errors.New(body)
		}
		return err
	})
	if status == http.StatusOK { // the 503 did not say that the order had been taken
		return http.StatusAccepted
	}
	return status
}

// post sends an order over HTTP and returns the answer's status and headers.
func (s service) post(orderID string) (int, http.Header) {
	s.T.Helper()
	status, _, header, err := servicetest.Fetch(s.T, http.MethodPost, s.Public+"/orders",
		fmt.Sprintf(`{"order_id": %q, "user_id": "u", "total": 49.99}`, orderID))
	require.NoError(s.T, err)
	return status, header
}

// takesRequests waits until a load balancer may send requests, or not.
func (s service) takesRequests(status int) {
	s.T.Helper()
	s.Answers(s.Public+"/readyz?for=requests", status)
}

func usd(minor int64) messages.Money { return messages.Money{Minor: minor, Currency: "USD"} }
