package orders_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders"
)

// status waits until the order has the status.
func (w *world) status(orderID, status string) {
	w.T.Helper()
	testkit.Eventually(w.T, func() error {
		var got string
		err := w.DB.QueryRow(w.T.Context(), `SELECT status FROM orders WHERE order_id = $1`, orderID).Scan(&got)
		if err != nil || got != status {
			return fmt.Errorf("order %s is %q: %w", orderID, got, err)
		}
		return nil
	})
}

func TestRunTakesAPlainForeignOrderToItsEnd(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	w.Write(messages.TopicOrders, `{"order_id": 4711, "user_id": 7, "total": 49.99}`)
	require.Equal(t, messages.PaymentRequested{OrderID: "4711", UserID: "7", Amount: usd(4999), Step: messages.EventOrderPlaced},
		w.Await("4711", messages.EventPaymentRequested, "reserve"))
	w.Publish(messages.PaymentCaptured{OrderID: "4711", UserID: "7", Amount: usd(4999), PaymentID: "p"})
	require.Equal(t, "Order 4711 confirmed!", w.Await("4711", messages.EventNotificationRequested, "confirmed").(messages.NotificationRequested).Message)
	w.status("4711", "confirmed")

	w.Write(messages.TopicOrders, `{"order_id": "x", "user_id": 7, "items": [{"sku": "unheard of", "quantity": 1}]}`)
	require.Equal(t, "unknown_sku", w.Await("x", messages.EventOrderRejected, "reject").(messages.OrderRejected).Reason)
	w.Await("x", messages.EventNotificationRequested, "rejected")

	w.Write(messages.TopicOrders, `{"order_id": "y", "user_id": 7, "items": [{"sku": "vinyl-swan-lake", "quantity": 2}]}`)
	require.Equal(t, usd(9998), w.Await("y", messages.EventPaymentRequested, "reserve").(messages.PaymentRequested).Amount)
	w.Publish(messages.PaymentFailed{OrderID: "y", UserID: "7", Total: usd(9998), Reason: "card_declined"})
	w.Await("y", messages.EventNotificationRequested, "failed")

	status, body := s.Get(s.Public + "/orders/4711")
	require.Equal(t, http.StatusOK, status, body)
	status, body = s.Get(s.Admin + "/orders/4711")
	require.Equal(t, http.StatusNotFound, status, body)
	testkit.Eventually(t, func() error {
		_, metrics := s.Get(s.Admin + "/metrics")
		for _, name := range []string{`pasdetrois_orders_total{status="confirmed"} 1`, `pasdetrois_orders_total{status="rejected"} 1`,
			`pasdetrois_orders_end_to_end_seconds_count{status="confirmed"} 1`, "pasdetrois_orders_held 0", "pasdetrois_outbox_pending 0",
			"pasdetrois_outbox_oldest_age_seconds 0", "pasdetrois_consumer_lag",
			`pasdetrois_http_requests_total{method="GET",route="/orders/{id}",status="2xx"} 1`,
			`pasdetrois_http_requests_total{method="GET",route="none",status="4xx"} 1`} {
			if !strings.Contains(metrics, name) {
				return fmt.Errorf("no metric %s", name)
			}
		}
		return nil
	})
	s.Ready(http.StatusOK)
}

func TestRunAppliesAPaymentThatCameBeforeItsOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.start()
	w.Publish(messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: usd(100), PaymentID: "p"})
	testkit.Eventually(t, func() error {
		var n int
		if err := w.DB.QueryRow(t.Context(), `SELECT count(*) FROM held_messages`).Scan(&n); err != nil || n != 1 {
			return fmt.Errorf("%d messages are held: %w", n, err)
		}
		return nil
	})
	w.Write(messages.TopicOrders, `{"order_id": "o", "user_id": "u", "total": 1}`)
	w.Await("o", messages.EventNotificationRequested, "confirmed")
	w.status("o", "confirmed")
}

func TestRunGivesUpOnPaymentsThatDoNotCome(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.start(func(c *orders.Config) { c.PaymentTimeout = 50 * time.Millisecond })
	w.Write(messages.TopicOrders, `{"order_id": "o", "user_id": "u", "total": 1}`)
	require.Equal(t, "payment_timeout", w.Await("o", messages.EventRefundRequested, "timeout").(messages.RefundRequested).Reason)
	w.Publish(messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: usd(0)})
	w.Await("o", messages.EventNotificationRequested, "failed")
	w.status("o", "failed")
}

func TestRunParksMessagesWhoseOrderNeverComesAndReplaysThem(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start(func(c *orders.Config) { c.HeldTimeout = 50 * time.Millisecond })
	w.Publish(messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: usd(100), PaymentID: "p"})
	var list struct {
		Items []struct {
			ID     int64  `json:"id"`
			Reason string `json:"reason"`
		} `json:"items"`
	}
	testkit.Eventually(t, func() error {
		_, body := s.Get(s.Admin + "/dead-letters")
		if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Items) != 1 {
			return fmt.Errorf("%s: %w", body, err)
		}
		return nil
	})
	require.Equal(t, "unknown_order", list.Items[0].Reason)

	w.Write(messages.TopicOrders, `{"order_id": "o", "user_id": "u", "total": 1}`)
	w.Await("o", messages.EventPaymentRequested, "reserve")
	status, body := s.Do(http.MethodPost, fmt.Sprintf("%s/dead-letters/%d/replay", s.Admin, list.Items[0].ID), "")
	require.Equal(t, http.StatusAccepted, status, body)
	w.Await("o", messages.EventNotificationRequested, "confirmed")
}

// A process that dies right after its commit has told its relay nothing. The next one finds the row.
func TestRunPublishesWhatADeadProcessLeftInTheOutbox(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := messages.Message{ID: messages.ID("o", messages.EventNotificationRequested, "left"), Source: "orders",
		Event: messages.NotificationRequested{UserID: "u", OrderID: "o", Message: "left behind", Channel: "email"}}
	var batch pgx.Batch
	require.NoError(t, outbox.Add(&batch, func([]outbox.Row) {}, m))
	require.NoError(t, w.DB.SendBatch(t.Context(), &batch).Close())
	w.start()
	require.Equal(t, m.Event, w.Await("o", messages.EventNotificationRequested, "left"))
}

func TestRunStopsAndStartsAgainWithNothingLost(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	const n = 60
	for i := range n {
		if i == n/3 {
			s.Stop()
		}
		if i == n/2 {
			s = w.start()
		}
		w.Write(messages.TopicOrders, fmt.Sprintf(`{"order_id": "o%d", "user_id": "u", "total": 1}`, i))
	}
	for i := range n {
		w.Await(fmt.Sprintf("o%d", i), messages.EventPaymentRequested, "reserve")
	}
	s.Stop()
}
