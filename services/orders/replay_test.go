package orders_test

import (
	"errors"
	"fmt"
	"regexp"
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
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT o::text FROM orders o UNION ALL SELECT l::text FROM order_lines l
		UNION ALL SELECT e::text FROM order_events e UNION ALL SELECT i::text FROM inventory i
		UNION ALL SELECT b::text FROM outbox b UNION ALL SELECT h::text FROM held_messages h
		UNION ALL SELECT d::text FROM dead_letters d ORDER BY 1`)
	require.NoError(w.t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	return all
}

var lagLine = regexp.MustCompile(`(?m)^pasdetrois_consumer_lag\{[^}]*\} (\S+)$`)

// readAll waits until the service has read all its topics to their ends.
func (s *service) readAll(partitions int) {
	s.t.Helper()
	testkit.Eventually(s.t, func() error {
		_, metrics := s.get(s.admin + "/metrics")
		lags := lagLine.FindAllStringSubmatch(metrics, -1)
		if len(lags) != partitions {
			return fmt.Errorf("the lag of %d of %d partitions is known", len(lags), partitions)
		}
		for _, lag := range lags {
			if lag[1] != "0" {
				return errors.New(lag[0])
			}
		}
		return nil
	})
}

// Kafka forgets a group's place after a week without it, and a lost offset starts a group at the oldest record. So
// everything may be read again at any time, and nothing may come of it.
func TestReadingAllTopicsFromTheirBeginningChangesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	confirmed := func(id string) {
		w.await(id, messages.EventPaymentRequested, "reserve")
		w.publish(messages.PaymentCaptured{OrderID: id, UserID: "u", Amount: usd(4999), PaymentID: "pay-" + id})
		w.await(id, messages.EventNotificationRequested, "confirmed")
	}
	for _, id := range []string{"confirmed", "failed", "cancelled"} {
		w.write(messages.TopicOrders, fmt.Sprintf(`{"order_id": %q, "user_id": "u", "items": [{"sku": "vinyl-swan-lake", "quantity": 1}]}`, id))
	}
	w.write(messages.TopicOrders, `{"order_id": "rejected", "user_id": "u", "items": [{"sku": "unheard of", "quantity": 1}]}`)
	w.write(messages.TopicOrders, `no order at all`)
	confirmed("confirmed")
	confirmed("cancelled")
	w.await("failed", messages.EventPaymentRequested, "reserve")
	w.publish(messages.PaymentFailed{OrderID: "failed", UserID: "u", Total: usd(4999), Reason: "card_declined"})
	w.await("failed", messages.EventNotificationRequested, "failed")
	w.await("rejected", messages.EventNotificationRequested, "rejected")
	status, _, err := fetch(t, "POST", s.public+"/orders/cancelled/cancel")
	require.NoError(t, err)
	require.Less(t, status, 300)
	w.await("cancelled", messages.EventRefundRequested, "cancel")
	w.publish(messages.PaymentRefunded{OrderID: "cancelled", UserID: "u", Amount: usd(4999), PaymentID: "pay-cancelled"})
	w.await("cancelled", messages.EventNotificationRequested, "cancelled")
	for _, id := range []string{"confirmed", "failed", "cancelled", "rejected"} {
		w.status(id, id)
	}
	testkit.Eventually(t, func() error { // what was not fetched yet is not in the lag
		if n := w.rows("dead_letters"); n != 1 {
			return fmt.Errorf("%d messages are parked", n)
		}
		return nil
	})
	s.readAll(3 * 2)
	testkit.Eventually(t, func() error {
		if n := w.rows("outbox"); n > 0 {
			return fmt.Errorf("%d messages are in the outbox", n)
		}
		return nil
	})
	s.stop()
	before, published := w.state(), w.published.ids()

	s = w.start(func(c *orders.Config) { c.GroupPrefix += "again." })
	s.readAll(3 * 2)
	s.stop()
	require.Equal(t, strings.Join(before, "\n"), strings.Join(w.state(), "\n"))
	require.Equal(t, published, w.published.ids(), "outputs may come again, with the same ids")
}
