package notifications_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/service/servicetest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is a servicetest.World, with the emails that notifications sends.
type world struct {
	*servicetest.World
	cfg    notifications.Config
	emails *servicetest.Buffer
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupOn(t, testkit.Brokers(t), testkit.Database(t, migrations.Up))
}

func setupOn(t *testing.T, brokers []string, db *testkit.DB) *world {
	t.Helper()
	w := servicetest.New(t, "notifications", brokers, db)
	w.CreateTopics(3)
	w.Observe(servicetest.Sees[messages.NotificationSent])
	cfg, emails := servicetest.Config[notifications.Config](w), &servicetest.Buffer{}
	cfg.EmailLog, cfg.SweepEvery = emails, 20*time.Millisecond
	return &world{w, cfg, emails}
}

func (w *world) start(change ...func(c *notifications.Config)) *servicetest.Service {
	w.T.Helper()
	cfg := w.cfg
	for _, c := range change {
		c(&cfg)
	}
	return w.Start(&cfg.Base, func(ctx context.Context) error { return notifications.Run(ctx, cfg, w.Log) })
}

// write puts a body on topic notifications as a foreign client would.
func (w *world) write(body string) {
	w.T.Helper()
	w.Write(messages.TopicNotifications, body)
}

// publish sends what one of our own services sends about an order.
func (w *world) publish(order, kind string) {
	w.T.Helper()
	require.NoError(w.T, w.Producer.Publish(w.T.Context(), messages.Message{
		ID: messages.ID(order, messages.EventNotificationRequested, kind), Time: time.Now(),
		Event: messages.NotificationRequested{OrderID: order, Kind: kind, UserID: "u1", Message: "Order " + order + " " + kind + "!",
			Channel: messages.ChannelEmail}}))
}

// email is one line of the log sender.
type email struct {
	Msg, Service, To, Subject, Kind, Message string
	OrderID                                  string `json:"order_id"`
	MessageID                                string `json:"message_id"`
}

// sent returns the emails that were sent so far.
func (w *world) sent() []email {
	w.T.Helper()
	var all []email
	for text := range strings.Lines(w.emails.String()) {
		var e email
		require.NoError(w.T, json.Unmarshal([]byte(text), &e), text)
		all = append(all, e)
	}
	return all
}

// await waits until so many emails were sent, and returns them.
func (w *world) await(count int) []email {
	w.T.Helper()
	testkit.Eventually(w.T, func() error {
		if n := len(w.sent()); n < count {
			return fmt.Errorf("%d of %d emails", n, count)
		}
		return nil
	})
	return w.sent()
}
