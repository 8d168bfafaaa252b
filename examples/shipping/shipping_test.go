package shipping_test

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/examples/shipping"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/auth/authtest"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/pkg/platform/service/servicetest"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func start(t *testing.T, packing time.Duration) (*servicetest.World, *servicetest.Service) {
	t.Helper()
	w := servicetest.Setup(t, "shipping", shipping.Migrate)
	w.Observe(servicetest.Sees[messages.NotificationRequested])
	cfg := servicetest.Config[shipping.Config](w)
	cfg.PackingTime = packing
	return w, w.Start(&cfg.Base, func(ctx context.Context) error { return shipping.Run(ctx, cfg, w.Log) })
}

func confirmed(order string) messages.Event {
	return messages.OrderConfirmed{OrderID: order, UserID: "u1", Total: messages.Money{Minor: 100, Currency: "USD"}, PaymentID: "p1",
		Step: messages.EventPaymentCaptured}
}

func cancelled(order string) messages.Event {
	return messages.OrderCancelled{OrderID: order, UserID: "u1", Total: messages.Money{Minor: 100, Currency: "USD"},
		Reason: "cancelled_by_user", Step: messages.EventPaymentRefunded}
}

func TestAConfirmedOrderIsShippedOnceAndItsUserIsInformed(t *testing.T) {
	t.Parallel()
	w, s := start(t, time.Millisecond)
	w.Publish(confirmed("o1"), confirmed("o1"))
	s.Answers(s.Public+"/shipments/o1", http.StatusOK, `"status":"shipped"`)
	got := w.Await("o1", messages.EventNotificationRequested, "packing").(messages.NotificationRequested)
	require.Equal(t, "u1", got.UserID)
	s.ReadAll(3)
	require.Equal(t, 1, w.Rows("shipments"))
	require.Len(t, w.Observed(), 1)
	status, _ := s.Get(s.Public + "/shipments/o2")
	require.Equal(t, http.StatusNotFound, status)
}

func TestACancelledOrderIsStoppedOrCalledBack(t *testing.T) {
	t.Parallel()
	w, s := start(t, time.Hour)
	w.Publish(confirmed("packed"))
	s.Answers(s.Public+"/shipments/packed", http.StatusOK, `"status":"packing"`)
	w.Publish(cancelled("packed"), cancelled("packed"), cancelled("early"), confirmed("early"))
	s.Answers(s.Public+"/shipments/packed", http.StatusOK, `"status":"stopped"`)
	s.Answers(s.Public+"/shipments/early", http.StatusOK, `"status":"stopped"`)

	_, err := w.DB.Exec(t.Context(), `INSERT INTO shipments VALUES ('gone', 'u1', 'shipped', now(), now())`)
	require.NoError(t, err)
	w.Publish(confirmed("gone")) // redelivered, since the service ended before it had published its answer
	w.Await("gone", messages.EventNotificationRequested, "packing")
	w.Publish(cancelled("gone"), cancelled("gone"))
	s.Answers(s.Public+"/shipments/gone", http.StatusOK, `"status":"returning"`)
	s.ReadAll(3)
	require.Len(t, w.Observed(), 2, "the user of the order that was cancelled early is not informed")
}

func TestAShipmentIsShownToItsUserAndToTheStaff(t *testing.T) {
	t.Parallel()
	login := authtest.Start(t)
	w := servicetest.Setup(t, "shipping", shipping.Migrate)
	w.Observe(servicetest.Sees[messages.NotificationRequested])
	cfg := servicetest.Config[shipping.Config](w)
	cfg.PackingTime, cfg.Auth = time.Hour, login.Settings()
	s := w.Start(&cfg.Base, func(ctx context.Context) error { return shipping.Run(ctx, cfg, w.Log) })
	require.Equal(t, 1, s.NeedsLogin(login))
	w.Publish(confirmed("o1")) // of u1
	w.Await("o1", messages.EventNotificationRequested, "packing")

	own := []auth.Scope{auth.Write, auth.Read}
	for token, want := range map[string]int{
		login.Token("u1", own...):                http.StatusOK,
		login.Token("support", auth.ReadAll):     http.StatusOK,
		login.Token("root", auth.Admin):          http.StatusOK,
		login.Token("u2", own...):                http.StatusNotFound,
		login.Token("U1", own...):                http.StatusNotFound,
		login.Token("u1", auth.Write):            http.StatusForbidden,
		login.Token("u1", auth.Scope("profile")): http.StatusForbidden,
	} {
		status, body, _ := s.As(token, http.MethodGet, s.Public+"/shipments/o1", "")
		require.Equal(t, want, status, body)
		_, none, _ := s.As(token, http.MethodGet, s.Public+"/shipments/none", "")
		if want == http.StatusNotFound {
			require.Equal(t, none, body, "as one that does not exist")
		}
	}
}

// The tables of every service are in the first migration as the platform has them now.
func TestTheFirstMigrationMakesTheTablesOfEveryService(t *testing.T) {
	t.Parallel()
	first, err := os.ReadFile("migrations/00001_service.sql")
	require.NoError(t, err)
	require.Contains(t, string(first), service.SchemaSQL)
}
