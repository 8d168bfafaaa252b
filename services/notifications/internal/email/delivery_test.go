package email_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
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

// taken is a topic that takes everything.
type taken struct{}

func (taken) Publish(context.Context, ...messages.Message) error { return nil }

// service is the use cases with a mail server behind them, over a database of their own.
type service struct {
	*app.App
	db *pgxpool.Pool
}

func startService(t *testing.T, s *mailServer, change ...func(*app.DispatcherConfig)) *service {
	t.Helper()
	db := testkit.Database(t, migrations.Up).Pool(t, "notifications")
	metrics := app.NewMetrics(prometheus.NewRegistry())
	log := slog.New(slog.DiscardHandler)
	recorder := app.NewRecorder(app.RecorderConfig{Store: store.New(db), Publisher: taken{}, Log: log})
	cfg := app.DispatcherConfig{Store: store.New(db), Sender: sender(t, s, inClear), Recorder: recorder, Metrics: metrics, Log: log,
		SendTimeout: 500 * time.Millisecond, Poll: 5 * time.Millisecond,
		Retries: domain.Retries{Backoff: domain.Backoff{First: 10 * time.Millisecond, Max: 50 * time.Millisecond}, For: time.Hour}}
	for _, c := range change {
		c(&cfg)
	}
	d := app.NewDispatcher(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	return &service{app.New(app.Config{Store: store.New(db), Dispatcher: d, Metrics: metrics, Log: log}), db}
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
		if n = page[0]; n.Status != status {
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
	require.True(t, strings.HasPrefix(n.Reason, "smtp_refused: "), "the code that the contract promises, then the server's words: %s", n.Reason)
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
		if n := page[0]; n.Attempts < 2 || !strings.Contains(n.Reason, "refused") {
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
		if n := page[0]; n.Attempts < 1 {
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

// A server that scans its mail answers late. The email is sent once, although the answer takes longer than an attempt and
// than a lease.
func TestDeliveryThroughAServerThatAnswersLate(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	svc := startService(t, s, func(c *app.DispatcherConfig) { c.SendTimeout, c.Lease = 300*time.Millisecond, 600*time.Millisecond })
	svc.notify(t, "1", "late-2000@example.org")
	n := svc.becomes(t, "1", domain.Sent)
	require.Equal(t, 1, n.Attempts)
	require.Equal(t, "late-2000@example.org", s.next().To)
	svc.notify(t, "2", "ann@example.org")
	require.Equal(t, "ann@example.org", s.next().To, "the late one came once")
}

// When the answer never comes the customer may have the email. The next attempt waits much longer than after a refusal.
func TestDeliveryWhoseOutcomeIsUnknownWaitsLonger(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	svc := startService(t, s, func(c *app.DispatcherConfig) { c.AnswerTimeout = 200 * time.Millisecond })
	svc.notify(t, "1", "silent@example.org")
	testkit.Eventually(t, func() error {
		var waits bool
		var reason string
		err := svc.db.QueryRow(t.Context(), `SELECT attempts = 1 AND next_attempt_at > now() + interval '7 minutes', reason FROM notifications`).Scan(&waits, &reason)
		if err == nil && (!waits || !strings.Contains(reason, "may have taken")) {
			err = fmt.Errorf("it does not wait: %s", reason)
		}
		return err
	})
}

// Attempts end at an age. The email then fails visibly, and an operator has it sent once the cause is mended.
func TestDeliveryEndsAtAnAgeAndIsRetriedOnDemand(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{})
	svc := startService(t, s, func(c *app.DispatcherConfig) { c.Retries.For = 100 * time.Millisecond })
	svc.notify(t, "1", "grey-1000000@example.org")
	n := svc.becomes(t, "1", domain.Failed)
	require.Contains(t, n.Reason, "given up after 100ms")
	require.Contains(t, n.Reason, "greylisted")
	failed, err := svc.List(t.Context(), app.Query{Status: domain.Failed, Limit: 10})
	require.NoError(t, err)
	require.Len(t, failed, 1)

	_, err = svc.Retry(t.Context(), n.ID+1)
	require.ErrorIs(t, err, app.ErrNotFound)
	_, err = svc.db.Exec(t.Context(), `UPDATE notifications SET recipient = 'ann@example.org'`) // as if the server was mended
	require.NoError(t, err)
	_, err = svc.Retry(t.Context(), n.ID)
	require.NoError(t, err)
	svc.becomes(t, "1", domain.Sent)
	_, err = svc.Retry(t.Context(), n.ID)
	require.ErrorIs(t, err, app.ErrNotFailed)
}
