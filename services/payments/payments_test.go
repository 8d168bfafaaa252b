package payments_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments"
)

func TestRunAnswersAPlainForeignMessage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	w.write(`{"order_id": 4711, "amount": 49.99, "user_id": 7}`)

	got := w.Await("4711", messages.EventPaymentCaptured, "capture").(messages.PaymentCaptured)
	require.Equal(t, "7", got.UserID)
	require.Equal(t, usd(4999), got.Amount)
	status, body := s.Get(s.Public + "/payments/4711")
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, got.PaymentID)
	status, body = s.Get(s.Public + "/payments?user_id=7")
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, got.PaymentID)

	w.write(`{"event": "refund_requested", "order_id": "4711", "amount": 49.99, "user_id": 7, "reason": "changed my mind"}`)
	require.Equal(t, got.PaymentID, w.Await("4711", messages.EventPaymentRefunded, "refund").(messages.PaymentRefunded).PaymentID)

	w.write(`{"order_id": "dear", "amount": 901, "user_id": 7}`)
	require.Equal(t, "suspected_fraud", w.Await("dear", messages.EventPaymentFailed, "fail").(messages.PaymentFailed).Reason)
	require.Equal(t, "security@example.com", w.Await("dear", messages.EventNotificationRequested, "fraud_alert").(messages.NotificationRequested).To)

	_, metrics := s.Get(s.Admin + "/metrics")
	for _, name := range []string{`pasdetrois_payments_total{outcome="captured",reason=""} 1`,
		`pasdetrois_payments_total{outcome="failed",reason="suspected_fraud"} 1`, `pasdetrois_payments_refunds_total{outcome="refunded"} 1`,
		"pasdetrois_payments_provider_call_seconds_count", "pasdetrois_payments_decision_seconds_count",
		`pasdetrois_http_requests_total{method="GET",route="/payments/{order_id}",status="2xx"} 1`} {
		require.Contains(t, metrics, name)
	}
}

func TestRunParksWhatCanNeverSucceedAndReplaysIt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	w.Publish(messages.PaymentRequested{OrderID: "o1", UserID: "u1", Amount: usd(100)})
	w.Await("o1", messages.EventPaymentCaptured, "capture")
	w.Publish(messages.PaymentRequested{OrderID: "o1", UserID: "u1", Amount: usd(200)}) // contradicts
	w.write(`no json`)
	w.Publish(messages.RefundRequested{OrderID: "o1", UserID: "u1", Amount: usd(100), Reason: "cancelled"}) // same partition
	w.Await("o1", messages.EventPaymentRefunded, "refund")

	var list struct {
		Items []struct {
			ID     int64  `json:"id"`
			Reason string `json:"reason"`
			Key    string `json:"key"`
		} `json:"items"`
	}
	reasons := make(map[string]int64)
	testkit.Eventually(t, func() error {
		_, body := s.Get(s.Admin + "/dead-letters")
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			return err
		}
		if len(list.Items) != 2 {
			return fmt.Errorf("%d dead letters: %s", len(list.Items), body)
		}
		return nil
	})
	for _, l := range list.Items {
		reasons[l.Reason] = l.ID
	}
	require.Contains(t, reasons, "contradicts_state")
	require.Contains(t, reasons, messages.ReasonNotJSON)

	_, err := w.DB.Exec(t.Context(), `UPDATE payments SET amount_minor = 200, status = 'captured', reason = '' WHERE order_id = 'o1'`)
	require.NoError(t, err) // somebody mended what the message contradicted
	w.Forget(messages.ID("o1", messages.EventPaymentCaptured, "capture"))
	letter := fmt.Sprintf("%s/dead-letters/%d", s.Admin, reasons["contradicts_state"])
	status, body := s.Do(http.MethodPost, letter+"/replay", "")
	require.Equal(t, http.StatusAccepted, status, body)
	testkit.Eventually(t, func() error {
		if _, body := s.Get(letter); !bytes.Contains([]byte(body), []byte(`"replayed"`)) {
			return errors.New(body)
		}
		return nil
	})
}

// Half of the provider's calls get no answer, and the service is stopped and started meanwhile.
func TestRunChargesEveryOrderOnceWhateverTheProviderDoes(t *testing.T) {
	t.Parallel()
	const orders = 24
	w := setup(t)
	unreliable := func(c *payments.Config) { c.ProviderErrorRate, c.ProviderLatency = 0.5, time.Millisecond }
	first := w.start(unreliable)
	for i := range orders {
		w.Publish(messages.PaymentRequested{OrderID: fmt.Sprintf("o%d", i), UserID: "u1", Amount: usd(100)})
		if i == orders/2 {
			w.Await("o0", messages.EventPaymentCaptured, "capture")
			first.Stop()
			w.start(unreliable)
		}
	}
	for i := range orders {
		w.Await(fmt.Sprintf("o%d", i), messages.EventPaymentCaptured, "capture")
	}
	var charged, doubles int
	require.NoError(t, w.DB.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE n > 1)
		FROM (SELECT count(*) n FROM provider_ledger WHERE status = 'charged' GROUP BY order_id) o`).Scan(&charged, &doubles))
	require.Equal(t, orders, charged)
	require.Zero(t, doubles)
}

func TestRunWaitsForPostgresAndKafka(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start(func(c *payments.Config) {
		c.DatabaseURL = "postgres://payments:payments@127.0.0.1:1/none"
		c.Kafka.Brokers = []string{"127.0.0.1:1"}
	})
	for _, base := range []string{s.Public, s.Admin} {
		s.Answers(base+"/livez", http.StatusOK)
		s.Answers(base+"/readyz", http.StatusServiceUnavailable, "postgres", "kafka_producer", "consumer", "topics")
	}
	start := time.Now()
	status, _ := s.Get(s.Public + "/payments/o1")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Less(t, time.Since(start), 30*time.Second) // two seconds, on a machine that has time
	s.Stop()
}
