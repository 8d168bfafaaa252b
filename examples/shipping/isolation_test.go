package shipping_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/examples/shipping"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/auth/authtest"
	"pasdetrois/pkg/platform/service/servicetest"
)

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
