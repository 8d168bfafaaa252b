package payments_test

import (
	"fmt"
	"net/http"
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
	w.T.Helper()
	for i := from; i < to; i++ {
		w.Publish(messages.PaymentRequested{OrderID: fmt.Sprint(i), UserID: "u", Amount: usd(100)})
	}
}

// eachIsPaidOnce waits for all answers and looks into the provider's own books.
func (w *world) eachIsPaidOnce() {
	w.T.Helper()
	for i := range orders {
		w.Await(fmt.Sprint(i), messages.EventPaymentCaptured, "capture")
	}
	var payments, charges, parked int
	testkit.Eventually(w.T, func() error {
		return w.DB.QueryRow(w.T.Context(), `SELECT (SELECT count(*) FROM payments WHERE status = 'captured'),
			(SELECT count(*) FROM provider_ledger WHERE status = 'charged'), (SELECT count(*) FROM dead_letters)`).Scan(&payments, &charges, &parked)
	})
	require.Equal(w.T, orders, payments)
	require.Equal(w.T, orders, charges)
	require.Zero(w.T, parked)
}

func TestPaymentsWaitWhilePostgresIsDown(t *testing.T) {
	t.Parallel()
	postgres := testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	w := setupOn(t, testkit.Brokers(t), postgres.DB)
	s := w.start(slowProvider)
	s.Ready(http.StatusOK)
	w.request(0, orders/2)
	w.Await("0", messages.EventPaymentCaptured, "capture")

	postgres.Stop()
	w.request(orders/2, orders)
	s.Ready(http.StatusServiceUnavailable, `are held up`, `"kafka_producer":"ok"`)
	_, body := s.Get(s.Admin + "/readyz")
	require.NotContains(t, body, `"postgres":"ok"`)

	postgres.Start()
	w.eachIsPaidOnce()
	s.Ready(http.StatusOK)
}

func TestPaymentsDecidedWhileKafkaIsDownArePublishedWhenItIsBack(t *testing.T) {
	t.Parallel()
	broker := testkit.OwnBroker(t)
	w := setupOn(t, broker.Addrs(), testkit.Database(t, migrations.Up))
	s := w.start(slowProvider)
	s.Ready(http.StatusOK)
	w.request(0, orders)
	w.Await("0", messages.EventPaymentCaptured, "capture")

	broker.Stop()
	s.Ready(http.StatusServiceUnavailable, `"consumer":"kafka: `, `"postgres":"ok"`)

	broker.Start()
	w.eachIsPaidOnce()
	s.Ready(http.StatusOK)
}
