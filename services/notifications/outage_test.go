package notifications_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

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

// eachIsToldOnce waits for the emails of so many orders, and for the table to know that they are sent.
func (w *world) eachIsToldOnce(orders int) {
	w.t.Helper()
	told := make(map[string]int)
	for _, e := range w.await(orders) {
		told[e.OrderID]++
	}
	require.Len(w.t, told, orders, "%v", told)
	testkit.Eventually(w.t, func() error {
		var sent, parked int
		err := w.db.QueryRow(w.t.Context(), `SELECT (SELECT count(*) FROM notifications WHERE status = 'sent'),
			(SELECT count(*) FROM dead_letters)`).Scan(&sent, &parked)
		if err != nil || sent != orders || parked != 0 {
			return fmt.Errorf("%d of %d are sent, %d are parked: %w", sent, orders, parked, err)
		}
		return nil
	})
	require.Len(w.t, w.sent(), orders)
}

func TestNotificationsWaitWhilePostgresIsDown(t *testing.T) {
	t.Parallel()
	postgres := testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	w := setupOn(t, testkit.Brokers(t), postgres.DB)
	s := w.start()
	s.says(http.StatusOK)
	w.publish("before", messages.KindConfirmed)
	w.eachIsToldOnce(1)

	postgres.Stop()
	for i := range 20 {
		w.publish(fmt.Sprint("during-", i), messages.KindConfirmed)
	}
	s.says(http.StatusServiceUnavailable, `are held up`)
	_, body := s.get(s.admin + "/readyz")
	require.NotContains(t, body, `"postgres":"ok"`)

	postgres.Start()
	w.eachIsToldOnce(21)
	s.says(http.StatusOK)
}

func TestNotificationsGoOnWhenKafkaIsBack(t *testing.T) {
	t.Parallel()
	broker := testkit.OwnBroker(t)
	w := setupOn(t, broker.Addrs(), testkit.Database(t, migrations.Up))
	s := w.start()
	s.says(http.StatusOK)
	for i := range 10 {
		w.publish(fmt.Sprint("before-", i), messages.KindConfirmed)
	}
	broker.Stop()
	s.says(http.StatusServiceUnavailable, `"consumer":"kafka: `, `"postgres":"ok"`)

	broker.Start()
	for i := range 10 {
		w.publish(fmt.Sprint("after-", i), messages.KindConfirmed)
	}
	w.eachIsToldOnce(20)
	s.says(http.StatusOK)
}
