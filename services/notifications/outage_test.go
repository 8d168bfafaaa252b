package notifications_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

// eachIsEmailedOnce waits for one email of each order, and until the table has them as sent.
func (w *world) eachIsEmailedOnce(orders int) {
	w.T.Helper()
	emailed := make(map[string]int)
	for _, e := range w.await(orders) {
		emailed[e.OrderID]++
	}
	require.Len(w.T, emailed, orders, "%v", emailed)
	testkit.Eventually(w.T, func() error {
		var sent, parked int
		err := w.DB.QueryRow(w.T.Context(), `SELECT (SELECT count(*) FROM notifications WHERE status = 'sent'),
			(SELECT count(*) FROM dead_letters)`).Scan(&sent, &parked)
		if err != nil || sent != orders || parked != 0 {
			return fmt.Errorf("%d of %d are sent, %d are parked: %w", sent, orders, parked, err)
		}
		return nil
	})
	require.Len(w.T, w.sent(), orders)
}

func TestNotificationsWaitWhilePostgresIsDown(t *testing.T) {
	t.Parallel()
	postgres := testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	w := setupOn(t, testkit.Brokers(t), postgres.DB)
	s := w.start()
	s.Ready(http.StatusOK)
	w.publish("before", messages.KindConfirmed)
	w.eachIsEmailedOnce(1)

	postgres.Stop()
	for i := range 20 {
		w.publish(fmt.Sprint("during-", i), messages.KindConfirmed)
	}
	s.Ready(http.StatusServiceUnavailable, `are held up`)
	_, body := s.Get(s.Admin + "/readyz")
	require.NotContains(t, body, `"postgres":"ok"`)

	postgres.Start()
	w.eachIsEmailedOnce(21)
	s.Ready(http.StatusOK)
}

func TestNotificationsGoOnWhenKafkaIsBack(t *testing.T) {
	t.Parallel()
	broker := testkit.OwnBroker(t)
	w := setupOn(t, broker.Addrs(), testkit.Database(t, migrations.Up))
	s := w.start()
	s.Ready(http.StatusOK)
	for i := range 10 {
		w.publish(fmt.Sprint("before-", i), messages.KindConfirmed)
	}
	broker.Stop()
	s.Ready(http.StatusServiceUnavailable, `"consumer":"kafka: `, `"postgres":"ok"`)

	broker.Start()
	for i := range 10 {
		w.publish(fmt.Sprint("after-", i), messages.KindConfirmed)
	}
	w.eachIsEmailedOnce(20)
	s.Ready(http.StatusOK)
}

const dueSQL = `INSERT INTO notifications (message_id, order_id, kind, user_id, recipient, message, channel, requested_at, next_attempt_at)
VALUES ($1, $2, 'confirmed', 'u1', 'u1@example.com', 'Order ' || $2 || ' confirmed!', 'email', now(), now())`

// An email that is due while Kafka is away is sent and settled: it must not be sent again. Its outcome is published when Kafka is
// back, also by another process.
func TestAnEmailThatIsSentWithoutKafkaIsRecordedWhenKafkaIsBack(t *testing.T) {
	t.Parallel()
	broker := testkit.OwnBroker(t)
	w := setupOn(t, broker.Addrs(), testkit.Database(t, migrations.Up))
	s := w.start()
	s.Ready(http.StatusOK)
	w.publish("before", messages.KindConfirmed)
	w.eachIsEmailedOnce(1)
	broker.Stop()
	for _, order := range []string{"a", "b"} {
		_, err := w.DB.Exec(t.Context(), dueSQL, messages.ID(order, messages.EventNotificationRequested, "confirmed"), order)
		require.NoError(t, err)
	}
	w.eachIsEmailedOnce(3)
	s.Answers(s.Admin+"/metrics", http.StatusOK, "pasdetrois_notifications_unrecorded 2")
	s.Ready(http.StatusServiceUnavailable, `"outcomes":"emails are sent, and their outcomes are published when kafka is back`)
	s.Stop()

	broker.Start()
	s = w.start()
	s.Answers(s.Admin+"/metrics", http.StatusOK, "pasdetrois_notifications_unrecorded 0")
	for _, order := range []string{"before", "a", "b"} {
		w.Await(order, messages.EventNotificationSent, messages.ID(order, messages.EventNotificationRequested, "confirmed"))
	}
	w.eachIsEmailedOnce(3)
	s.Ready(http.StatusOK, `"outcomes":"ok"`)
}
