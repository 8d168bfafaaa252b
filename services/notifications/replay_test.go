package notifications_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications"
)

// A lost offset starts a group at the oldest record. So everything may be read again at any time, and nobody may get an
// email again, also not one that a foreign message without id and key asked for.
func TestReadingNotificationsFromTheirBeginningSendsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	const each = 5
	for i := range each {
		w.publish(fmt.Sprint(i), messages.KindConfirmed)
		w.write(fmt.Sprintf(`{"user_id": 7, "message": "Your parcel %d is on its way.", "channel": "email"}`, i))
	}
	w.await(2 * each)
	s.Ready(http.StatusOK)
	s.Stop()

	s = w.start(func(c *notifications.Config) { c.Kafka.GroupPrefix += "again." })
	testkit.Eventually(t, func() error {
		_, metrics := s.Get(s.Admin + "/metrics")
		if want := fmt.Sprintf(`pasdetrois_messages_handled_total{event="notification_requested",result="ok"} %d`, 2*each); !strings.Contains(metrics, want) {
			return fmt.Errorf("not all messages are read again: no %s", want)
		}
		return nil
	})
	s.Stop()
	require.Len(t, w.sent(), 2*each)
}
