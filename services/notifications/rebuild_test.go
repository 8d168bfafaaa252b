package notifications_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/services/notifications/internal/domain"
)

// Whatever moment a process dies at, and whatever moment its database is put back to: no email is lost, and none comes twice but
// those whose process died between the mail server's answer and the event.
func TestAfterARebuildNoEmailIsLostOrSentTwice(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			h := newHistory(t, seed)
			h.ask("first", 24) // so that each partition has outcomes
			h.live(dies{})
			h.backup()
			deaths := 0
			for round := range 6 {
				h.ask(fmt.Sprint("round", round), 12)
				d := []dies{{afterAnswer: 0.1}, {afterEvent: 0.2}, {afterRow: 0.2}, {}}[h.random.IntN(4)]
				if h.live(d) {
					deaths++
				}
				switch h.random.IntN(4) {
				case 0: // the database stays as it is
				case 1:
					h.lose()
				case 2:
					h.restore()
				case 3:
					h.backup()
				}
				h.rebuild(true)
				again := h.rebuild(true)
				require.Zero(t, count(again, rebuild.Differs), "%+v", again)
				require.Zero(t, count(again, rebuild.Unknown), "%+v", again)
			}
			h.live(dies{})
			h.requireSound()
			require.Empty(t, h.rebuild(true), "an equal database")
			t.Log(deaths, "processes died;", len(h.allowed), "emails may have come twice")
		})
	}
}

// An earlier version recorded nothing. What it handled may have been sent: a person decides.
func TestEmailsOfAVersionThatRecordedNothingAreListedAndNotSent(t *testing.T) {
	t.Parallel()
	h := newHistory(t, 1)
	h.ask("old", 8)
	for p := range h.log { // read, and never recorded
		h.committed[rebuild.Place{Topic: "notifications", Partition: int32(p)}] = int64(len(h.log[p]))
	}
	h.ask("unread", 8)
	dry := h.rebuild(false)
	require.Empty(t, h.rows(), "a dry run writes nothing")
	found := h.rebuild(true)
	require.Len(t, dry, len(found))
	require.Equal(t, [3]int{8, 8, 8}, [3]int{count(found, rebuild.Differs), count(found, rebuild.Unknown), count(found, rebuild.Undecided)})
	for _, f := range found {
		if f.Kind == rebuild.Unknown {
			require.Contains(t, f.Do, "pas emails retry")
		}
	}
	h.live(dies{})
	require.LessOrEqual(t, len(h.mailed), 8, "the old ones are not sent by themselves")
	again := h.rebuild(true)
	require.Equal(t, [3]int{0, 8, 0}, [3]int{count(again, rebuild.Differs), count(again, rebuild.Unknown), count(again, rebuild.Undecided)})

	for _, n := range h.rows() {
		if n.Status == domain.Failed {
			h.exec(fmt.Sprintf(`UPDATE notifications SET status = 'pending', attempts = 0, tried_since = now(), next_attempt_at = now() WHERE id = %d`, n.ID))
		}
	}
	require.Zero(t, count(h.rebuild(true), rebuild.Differs), "an operator has them sent")
	h.live(dies{})
	h.requireSound()
	require.Zero(t, count(h.rebuild(true), rebuild.Unknown))
}

// Retention removes the messages of old emails. A pending row of an old backup may have been sent since.
func TestAPendingRowThatTheTopicHasForgottenIsNotSent(t *testing.T) {
	t.Parallel()
	h := newHistory(t, 2)
	h.ask("unread", 1)
	h.committed[rebuild.Place{Topic: "notifications"}] = 0 // the group has offsets
	// Another program chooses the times of its messages, so they do not tell how far back the topic goes.
	h.publish("/shop", messages.Message{ID: "foreign", Time: time.Now().Add(-30 * 24 * time.Hour).UTC().Truncate(time.Microsecond),
		Event: messages.NotificationRequested{UserID: "u1", Message: "Hello", Channel: messages.ChannelEmail, To: "ann@example.com"}})
	h.exec(`INSERT INTO notifications (message_id, user_id, recipient, message, channel, requested_at, next_attempt_at, created_at)
		VALUES ('gone', 'u1', 'ann@example.com', 'Hello', 'email', now() - interval '8 days', now(), now() - interval '8 days'),
		('new', 'u1', 'ann@example.com', 'Hello', 'email', now(), now(), now() + interval '1 second')`)
	found := h.rebuild(true)
	require.Equal(t, [3]int{1, 1, 2}, [3]int{count(found, rebuild.Differs), count(found, rebuild.Unknown), count(found, rebuild.Undecided)}, "%+v", found)
	rows := h.rows()
	require.Equal(t, domain.Failed, rows[" gone"].Status)
	require.Equal(t, domain.Pending, rows[" new"].Status)
	require.Len(t, h.rebuild(true), 2, "the requests are undecided, and `pas emails` lists the other one")
}
