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
