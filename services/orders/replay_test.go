package orders_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders"
)

// state is all that orders knows, as text.
func (w *world) state() []string {
	w.T.Helper()
	rows, err := w.DB.Query(w.T.Context(), `SELECT o::text FROM orders o UNION ALL SELECT l::text FROM order_lines l
		UNION ALL SELECT e::text FROM order_events e UNION ALL SELECT i::text FROM inventory i
		UNION ALL SELECT b::text FROM outbox b UNION ALL SELECT h::text FROM held_messages h
		UNION ALL SELECT d::text FROM dead_letters d ORDER BY 1`)
	require.NoError(w.T, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.T, err)
	return all
}

// Kafka forgets a group's place after a week without it, and a lost offset starts a group at the oldest record. So
// everything may be read again at any time, and nothing may come of it.
func TestReadingAllTopicsFromTheirBeginningChangesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	confirmed := func(id string) {
		w.Await(id, messages.EventPaymentRequested, "reserve")
		w.Publish(messages.PaymentCaptured{OrderID: id, UserID: "u", Amount: usd(4999), PaymentID: "pay-" + id})
		w.Await(id, messages.EventNotificationRequested, "confirmed")
	}
	for _, id := range []string{"confirmed", "failed", "cancelled"} {
		w.Write(messages.TopicOrders, fmt.Sprintf(`{"order_id": %q, "user_id": "u", "items": [{"sku": "vinyl-swan-lake", "quantity": 1}]}`, id))
	}
	w.Write(messages.TopicOrders, `{"order_id": "rejected", "user_id": "u", "items": [{"sku": "unheard of", "quantity": 1}]}`)
	w.Write(messages.TopicOrders, `no order at all`)
	confirmed("confirmed")
	confirmed("cancelled")
	w.Await("failed", messages.EventPaymentRequested, "reserve")
	w.Publish(messages.PaymentFailed{OrderID: "failed", UserID: "u", Total: usd(4999), Reason: "card_declined"})
	w.Await("failed", messages.EventNotificationRequested, "failed")
	w.Await("rejected", messages.EventNotificationRequested, "rejected")
	status, _ := s.Do("POST", s.Public+"/orders/cancelled/cancel", "")
	require.Less(t, status, 300)
	w.Await("cancelled", messages.EventRefundRequested, "cancel")
	w.Publish(messages.PaymentRefunded{OrderID: "cancelled", UserID: "u", Amount: usd(4999), PaymentID: "pay-cancelled"})
	w.Await("cancelled", messages.EventNotificationRequested, "cancelled")
	for _, id := range []string{"confirmed", "failed", "cancelled", "rejected"} {
		w.status(id, id)
	}
	testkit.Eventually(t, func() error { // what was not fetched yet is not in the lag
		if n := w.Rows("dead_letters"); n != 1 {
			return fmt.Errorf("%d messages are parked", n)
		}
		return nil
	})
	s.ReadAll(3 * 2)
	testkit.Eventually(t, func() error {
		if n := w.Rows("outbox"); n > 0 {
			return fmt.Errorf("%d messages are in the outbox", n)
		}
		return nil
	})
	s.Stop()
	before, published := w.state(), w.Observed()

	s = w.start(func(c *orders.Config) { c.Kafka.GroupPrefix += "again." })
	s.ReadAll(3 * 2)
	s.Stop()
	require.Equal(t, strings.Join(before, "\n"), strings.Join(w.state(), "\n"))
	require.Equal(t, published, w.Observed(), "outputs may come again, with the same ids")
}
