package domain

import (
	"cmp"
	"strings"
	"time"
	"unicode/utf8"

	"pasdetrois/pkg/messages"
)

// OutcomeMessage returns the message that records how n ended, and false while n is pending. It is made of n alone, so it is the
// same however often and by whichever process it is published.
//
// A notification is sent once, so the id of notification_sent is made of its key. It can fail several times, because an operator
// may have it sent again, so the id of notification_failed is made of its key and the time of the failure.
func (n Notification) OutcomeMessage() (messages.Message, bool) {
	m := messages.Message{OrderTime: n.OrderedAt, TraceParent: n.TraceParent}
	switch n.Status {
	case Sent:
		m.ID = messages.ID(n.OrderID, messages.EventNotificationSent, n.Key())
		m.Time = n.SentAt.UTC()
		m.Event = messages.NotificationSent{MessageID: n.MessageID, OrderID: n.OrderID, UserID: n.UserID, Kind: n.Kind, Channel: n.Channel}
	case Failed:
		// A row that failed under an earlier version has no time of its failure.
		m.Time = cmp.Or(n.FailedAt, n.TriedSince).UTC()
		m.ID = messages.ID(n.OrderID, messages.EventNotificationFailed, n.Key()+"\n"+m.Time.Format(time.RFC3339Nano))
		m.Event = messages.NotificationFailed{MessageID: n.MessageID, OrderID: n.OrderID, UserID: n.UserID, Kind: n.Kind,
			Channel: n.Channel, Reason: shortReason(n.Reason)}
	default:
		return m, false
	}
	return m, true
}

// shortReason cuts a stored reason to the length that an event may have. A reason has no control characters: see app.storable.
func shortReason(s string) string {
	if utf8.RuneCountInString(s) > messages.MaxReasonLength {
		s = string([]rune(s)[:messages.MaxReasonLength])
	}
	return cmp.Or(strings.TrimSpace(s), "unknown")
}
