package replay_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/replay"
)

// skip moves the groups of a service that is stopped to the ends of their topics, as a stranger does who takes records away.
func (w *world) skip(service, group, topic string) {
	w.t.Helper()
	require.NoError(w.t, w.StopService(w.t.Context(), service))
	c, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers()...))
	require.NoError(w.t, err)
	defer c.Close()
	admin := kadm.NewClient(c)
	ends, err := admin.ListEndOffsets(w.t.Context(), w.prefix+topic)
	require.NoError(w.t, err)
	testkit.Eventually(w.t, func() error { return admin.CommitAllOffsets(w.t.Context(), w.prefix+group, ends.Offsets()) })
	require.NoError(w.t, w.StartService(w.t.Context(), service))
	w.consuming(service)
}

// emailed returns nil when the order has an email of the kind.
func (w *world) emailed(id, kind string) error {
	for _, e := range w.Emails() {
		if e.OrderID == id && e.Kind == kind {
			return nil
		}
	}
	return errors.New("no email " + kind)
}

func (w *world) paused(service string) error {
	consumers, err := w.Client().Consumers(w.t.Context(), service)
	if err == nil && consumers.State != client.ConsumersPaused {
		err = errors.New(service + " is " + consumers.State)
	}
	return err
}

// A stranger in the consumer group took the request for an email away. Nothing was decided about it, so a replay is not refused: it
// sends the email, once.
func TestAReplayHandlesARequestThatAStrangerTookAway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.order("o", "", "confirmed")
	testkit.Eventually(t, func() error { return w.emailed("o", "confirmed") })
	w.caughtUp(client.Notifications)
	_, err := w.Client().PauseConsumers(t.Context(), client.Notifications, time.Hour)
	require.NoError(t, err)
	testkit.Eventually(t, func() error { return w.paused(client.Notifications) })
	_, err = w.Client().Cancel(t.Context(), "o")
	require.NoError(t, err)
	w.reaches("o", "cancelled")
	w.caughtUp(client.Orders)
	w.skip(client.Notifications, "notifications.notifications", "notifications")
	require.Error(t, w.emailed("o", "cancelled"))

	report, err := replay.Run(t.Context(), w.config(client.Notifications))
	require.NoError(t, err)
	require.Equal(t, int64(1), report.Different)
	require.Empty(t, report.Differences[0].Was, "a row was added")
	testkit.Eventually(t, func() error { return w.emailed("o", "cancelled") })
	require.Len(t, w.Emails(), 2)

	again, err := replay.Run(t.Context(), w.config(client.Notifications))
	require.NoError(t, err)
	require.True(t, again.Equal(), "%v", again.Differences)
	require.Len(t, w.Emails(), 2)
}
