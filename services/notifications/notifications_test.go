package notifications_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications"
)

func TestRunSendsWhatAPlainForeignMessageAsksFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	w.write(`{"user_id": 7, "message": "Your parcel is on its way.", "channel": "email"}`)
	got := w.await(1)[0]
	require.True(t, strings.HasSuffix(got.MessageID, "@pasdetrois.invalid>"), got.MessageID)
	got.MessageID = ""
	require.Equal(t, email{Msg: "email", Service: "notifications", To: "7@example.com", Subject: "A message from Pas de Trois",
		Message: "Your parcel is on its way."}, got)

	w.publish("1001", messages.KindConfirmed)
	w.publish("1001", messages.KindConfirmed)
	w.publish("1002", messages.KindConfirmed)
	for _, e := range w.await(3) {
		if e.OrderID == "1001" {
			got = e
		}
	}
	require.Equal(t, email{Msg: "email", Service: "notifications", To: "u1@example.com", Subject: "Order 1001 is confirmed",
		OrderID: "1001", Kind: "confirmed", Message: "Order 1001 confirmed!",
		MessageID: "<" + messages.ID("1001", messages.EventNotificationRequested, "confirmed") + "@pasdetrois.invalid>"}, got)
	require.Len(t, w.sent(), 3)

	testkit.Eventually(t, func() error {
		_, body := s.Get(s.Public + "/notifications?order_id=1001")
		if strings.Count(body, `"status":"sent"`) != 1 || !strings.Contains(body, `"to":"u1@example.com"`) {
			return errors.New(body)
		}
		return nil
	})
	s.Answers(s.Admin+"/metrics", http.StatusOK, `pasdetrois_notifications_notifications_total{kind="confirmed"} 2`,
		`pasdetrois_notifications_notifications_total{kind="none"} 1`, `pasdetrois_notifications_repetitions_total{content="same"} 1`,
		`pasdetrois_notifications_emails_total{status="sent"} 3`, `pasdetrois_notifications_email_send_seconds_count{status="sent"} 3`,
		"pasdetrois_notifications_end_to_end_seconds_count 3", "pasdetrois_notifications_pending 0",
		`pasdetrois_messages_handled_total{event="notification_requested",result="ok"} 4`,
		`pasdetrois_messages_handled_total{event="notification_sent",result="ok"} 3`, "pasdetrois_notifications_unrecorded 0",
		`pasdetrois_http_requests_total{method="GET",route="/notifications",status="2xx"}`)
	sent := w.Await("1001", messages.EventNotificationSent, messages.ID("1001", messages.EventNotificationRequested, "confirmed"))
	require.Equal(t, messages.NotificationSent{OrderID: "1001", UserID: "u1", Kind: "confirmed", Channel: messages.ChannelEmail,
		MessageID: messages.ID("1001", messages.EventNotificationRequested, "confirmed")}, sent)
}

func TestRunStoppedAndStartedAgainLosesNothing(t *testing.T) {
	t.Parallel()
	const orders = 60
	w := setup(t)
	s := w.start()
	for i := range orders {
		w.publish(fmt.Sprint(i), messages.KindConfirmed)
		switch i {
		case orders / 3:
			w.await(1)
			s.Stop()
		case orders * 2 / 3:
			s = w.start()
		}
	}
	sent := w.await(orders)
	seen := make(map[string]int)
	for _, e := range sent {
		seen[e.OrderID]++
	}
	require.Len(t, seen, orders)
	require.Len(t, sent, orders, "and none is sent twice")
	s.Stop()
	var pending int
	require.NoError(t, w.DB.QueryRow(t.Context(), `SELECT count(*) FROM notifications WHERE status = 'pending'`).Scan(&pending))
	require.Zero(t, pending)
}

func TestRunParksPoisonAndReplaysIt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	poison := []string{"no json", `{"user_id": 1, "message": "hi", "channel": "pigeon"}`, `{"message": "hi", "channel": "email"}`,
		`{"user_id": 1, "message": "hi", "channel": "email", "to": "a@example.org\r\nBcc: b@example.org"}`,
		`{"user_id": 1, "message": "nul \u0000", "channel": "email"}`, `[]`}
	for _, body := range poison {
		w.write(body)
	}
	w.write(`{"event": "something_else", "user_id": 1}`) // ignored
	w.write(`{"user_id": 1, "message": "hello", "channel": "email"}`)
	w.await(1)

	var list struct {
		Items []struct {
			ID     int64  `json:"id"`
			Reason string `json:"reason"`
		} `json:"items"`
	}
	testkit.Eventually(t, func() error {
		_, body := s.Get(s.Admin + "/dead-letters")
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			return err
		}
		if len(list.Items) != len(poison) {
			return fmt.Errorf("%d dead letters: %s", len(list.Items), body)
		}
		return nil
	})
	require.Len(t, w.sent(), 1)

	// An operator mends one and has it handled again.
	letter := list.Items[0].ID
	_, err := w.DB.Exec(t.Context(), `UPDATE dead_letters SET value = $2 WHERE id = $1`, letter,
		[]byte(`{"user_id": 2, "message": "mended", "channel": "email"}`))
	require.NoError(t, err)
	status, body := s.Do(http.MethodPost, fmt.Sprintf("%s/dead-letters/%d/replay", s.Admin, letter), "")
	require.Equal(t, http.StatusAccepted, status, body)
	require.Equal(t, "mended", w.await(2)[1].Message)
}

func TestRunWaitsForPostgresAndKafka(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start(func(c *notifications.Config) {
		c.DatabaseURL = "postgres://notifications:notifications@127.0.0.1:1/none"
		c.Kafka.Brokers = []string{"127.0.0.1:1"}
	})
	for _, base := range []string{s.Public, s.Admin} {
		s.Answers(base+"/livez", http.StatusOK)
		s.Answers(base+"/readyz", http.StatusServiceUnavailable, "postgres", "consumer", "topics")
	}
	s.Answers(s.Admin+"/readyz", http.StatusServiceUnavailable, "kafka_producer", `"outcomes":"ok"`)
	start := time.Now()
	status, _ := s.Get(s.Public + "/notifications")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Less(t, time.Since(start), 30*time.Second) // two seconds, on a machine that has time
	s.Stop()
}
