package payments_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments"
)

const orders = 24

// slowProvider keeps payments in work long enough for an outage to meet them.
func slowProvider(c *payments.Config) { c.ProviderLatency = 50 * time.Millisecond }

// request asks for a payment of each of the orders.
func (w *world) request(from, to int) {
	w.t.Helper()
	for i := from; i < to; i++ {
		w.publish(messages.PaymentRequested{OrderID: fmt.Sprint(i), UserID: "u", Amount: usd(100)})
	}
}

// says waits until readiness answers with the status and every text.
func (s *service) says(status int, texts ...string) {
	s.t.Helper()
	testkit.Eventually(s.t, func() error {
		got, body := s.get(s.admin + "/readyz")
		for _, text := range texts {
			if !strings.Contains(body, text) {
				return fmt.Errorf("readiness does not say %s: %s", text, body)
			}
		}
		if got != status {
			return fmt.Errorf("readiness is %d: %s", got, body)
		}
		return nil
	})
}

// eachIsPaidOnce waits for all answers and looks into the provider's own books.
func (w *world) eachIsPaidOnce() {
	w.t.Helper()
	for i := range orders {
		w.await(fmt.Sprint(i), messages.EventPaymentCaptured, "capture")
	}
	var payments, charges, parked int
	testkit.Eventually(w.t, func() error {
		return w.db.QueryRow(w.t.Context(), `SELECT (SELECT count(*) FROM payments WHERE status = 'captured'),
			(SELECT count(*) FROM provider_ledger WHERE status = 'charged'), (SELECT count(*) FROM dead_letters)`).Scan(&payments, &charges, &parked)
	})
	require.Equal(w.t, orders, payments)
	require.Equal(w.t, orders, charges)
	require.Zero(w.t, parked)
}

func TestPaymentsWaitWhilePostgresIsDown(t *testing.T) {
	t.Parallel()
	postgres := testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	w := setupOn(t, testkit.Brokers(t), postgres.DB)
	s := w.start(slowProvider)
	s.says(http.StatusOK)
	w.request(0, orders/2)
	w.await("0", messages.EventPaymentCaptured, "capture")

	postgres.Stop()
	w.request(orders/2, orders)
	s.says(http.StatusServiceUnavailable, `are held up`, `"kafka_producer":"ok"`)
	_, body := s.get(s.admin + "/readyz")
	require.NotContains(t, body, `"postgres":"ok"`)

	postgres.Start()
	w.eachIsPaidOnce()
	s.says(http.StatusOK)
}

func TestPaymentsDecidedWhileKafkaIsDownAreToldWhenItIsBack(t *testing.T) {
	t.Parallel()
	broker := testkit.OwnBroker(t)
	w := setupOn(t, broker.Addrs(), testkit.Database(t, migrations.Up))
	s := w.start(slowProvider)
	s.says(http.StatusOK)
	w.request(0, orders)
	w.await("0", messages.EventPaymentCaptured, "capture")

	broker.Stop()
	s.says(http.StatusServiceUnavailable, `"consumer":"kafka: `, `"postgres":"ok"`)

	broker.Start()
	w.eachIsPaidOnce()
	s.says(http.StatusOK)
}
