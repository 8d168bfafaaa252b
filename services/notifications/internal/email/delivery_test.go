package email_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/store"
)

// service is the use cases with a mail server behind them, over a database of their own.
type service struct{ *app.App }

func startService(t *testing.T, s *mailServer) *service {
	t.Helper()
	db := testkit.Database(t, migrations.Up).Pool(t, "notifications")
	metrics := app.NewMetrics(prometheus.NewRegistry())
	log := slog.New(slog.DiscardHandler)
	d := app.NewDispatcher(app.DispatcherConfig{Store: store.New(db), Sender: sender(t, s, inClear), Metrics: metrics, Log: log,
		SendTimeout: 500 * time.Millisecond, Poll: 5 * time.Millisecond,
		Backoff: domain.Backoff{First: 10 * time.Millisecond, Max: 50 * time.Millisecond}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	return &service{app.New(store.New(db), d, metrics, log)}
}

func (s *service) notify(t *testing.T, order, to string) {
	t.Helper()
	results := s.OnNotificationRequested(t.Context(), []bus.In[messages.NotificationRequested]{{
		ID: "m-" + order, Time: time.Now(), Event: messages.NotificationRequested{UserID: "u1", Message: "Hello!",
			Channel: messages.ChannelEmail, OrderID: order, Kind: messages.KindConfirmed, To: to}}})
	require.NoError(t, results[0].Err)
}

// becomes waits until the order's notification has the status, and returns it.
func (s *service) becomes(t *testing.T, order string, status domain.Status) domain.Notification {
	t.Helper()
	var n domain.Notification
	testkit.Eventually(t, func() error {
		page, err := s.List(t.Context(), app.Query{OrderID: order, Limit: 1})
		require.NoError(t, err)
		if n = page.Items[0]; n.Status != status {
			return fmt.Errorf("order %s: %s, %s", order, n.Status, n.Reason)
		}
		return nil
	})
	return n
}

func TestDeliveryGreylistedThenAccepted(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	svc := startService(t, s)
	svc.notify(t, "1001", "grey-3@example.org")
	n := svc.becomes(t, "1001", domain.Sent)
	require.Equal(t, 4, n.Attempts)
	for range 3 {
		require.Equal(t, "grey-3@example.org", s.next().Refused)
	}
	require.Contains(t, s.next().Data, n.Email().MessageID)
	require.Empty(t, s.lines)
}

func TestDeliveryRefusedForGood(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	svc := startService(t, s)
	svc.notify(t, "1001", "unknown@example.org")
	svc.notify(t, "1002", "ann@example.org")
	n := svc.becomes(t, "1001", domain.Failed)
	require.Contains(t, n.Reason, "no such user")
	require.Equal(t, 1, n.Attempts)
	svc.becomes(t, "1002", domain.Sent)
}

func TestDeliveryServerAwayThenBack(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	svc := startService(t, s)
	s.kill()
	svc.notify(t, "1001", "ann@example.org")
	testkit.Eventually(t, func() error {
		page, err := svc.List(t.Context(), app.Query{OrderID: "1001", Limit: 1})
		require.NoError(t, err)
		if n := page.Items[0]; n.Attempts < 2 || !strings.Contains(n.Reason, "refused") {
			return fmt.Errorf("%d attempts, %q", n.Attempts, n.Reason)
		}
		return nil
	})
	back := startServer(t, s.cfg) // on the same port
	svc.becomes(t, "1001", domain.Sent)
	require.Equal(t, "ann@example.org", back.next().To)
}

// A server that hangs on one address holds up neither the others nor the service, and the email keeps its Message-ID.
func TestDeliverySlowServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	svc := startService(t, s)
	svc.notify(t, "1001", "slow@example.org")
	require.Equal(t, "slow@example.org", s.next().Refused)
	orders := []string{"1002", "1003", "1004", "1005", "1006", "1007"}
	for _, order := range orders {
		svc.notify(t, order, "ann@example.org")
	}
	for _, order := range orders {
		svc.becomes(t, order, domain.Sent)
	}
	testkit.Eventually(t, func() error {
		page, err := svc.List(t.Context(), app.Query{OrderID: "1001", Limit: 1})
		require.NoError(t, err)
		if n := page.Items[0]; n.Attempts < 1 {
			return fmt.Errorf("attempt not ended yet")
		}
		return nil
	})
	n := svc.becomes(t, "1001", domain.Pending)
	require.Contains(t, n.Reason, "deadline exceeded")
}

// The server gets every email of a killed server's backlog once it is back, each once.
func TestDeliveryBacklog(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	svc := startService(t, s)
	s.kill()
	const emails = 30
	for i := range emails {
		svc.notify(t, fmt.Sprint(i), fmt.Sprintf("u%d@example.org", i))
	}
	back := startServer(t, s.cfg)
	var took []string
	for range emails {
		took = append(took, back.next().To)
	}
	for i := range emails {
		svc.becomes(t, fmt.Sprint(i), domain.Sent)
	}
	slices.Sort(took)
	require.Len(t, slices.Compact(took), emails)
	require.Empty(t, back.lines)
}
