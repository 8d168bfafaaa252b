package domain

import (
	"cmp"
	"strings"
	"time"

	"pasdetrois/pkg/messages"
)

// Told is one message about a notification, as it stands in the topic.
type Told struct {
	messages.Message
	// Unrecorded is set for a request that the service had read before it recorded any outcome: an earlier version handled it,
	// so a missing outcome says nothing.
	Unrecorded bool
}

// Folded is what the messages about one notification say of it.
type Folded struct {
	// Notification is the row as it must be, equal to the given row when that may stay. Its Status is "" when there is to be no
	// row yet.
	Notification Notification
	// Undecided is why the service must read the request again, "" when it need not.
	Undecided string
	// Unknown is what the messages do not say, and Do is what a person can do about it.
	Unknown, Do string
}

// unknownOutcome begins the reason of a notification that an earlier version may have sent.
const unknownOutcome = "outcome_unknown: "

// Fold returns the notification that the messages tell, in the order of their times. The row is the notification as it is stored;
// its Status is "" when there is none. All messages have the row's key.
//
//	row       outcome on the topic    becomes
//	none      sent                    sent
//	none      failed                  failed
//	none      none                    undecided: the service reads the request again and sends the email
//	none      none, Unrecorded        failed, outcome_unknown
//	pending   sent                    sent
//	pending   failed                  failed, unless an operator had it sent again since
//	pending   none                    pending: the service sends the email
//	pending   none, Unrecorded        failed, outcome_unknown
//	failed    sent                    sent
//	failed    a later failure         failed, with that reason
//	failed    anything else           failed
//	sent      anything                sent
//
// A row that is ahead of the topic stays. The first notification_sent counts, and the last notification_failed. An email that an
// earlier version may have sent is not sent by itself, because its user would get it twice. It is not called sent either, because
// its user may have missed it: it has failed, so `pas emails` lists it, and sends it when a person decides so.
func Fold(row Notification, told []Told) Folded {
	t := tell(row, told)
	switch {
	case row.Status == Sent:
		return Folded{Notification: row}
	case t.sent != nil:
		return t.ended(Sent)
	case t.failed != nil && t.failureCounts():
		return t.ended(Failed)
	case t.failed != nil:
		return Folded{Notification: row}
	case row.Status == Failed:
		return unsure(Folded{Notification: row})
	case t.unrecorded && !strings.HasPrefix(row.Reason, unknownOutcome): // else an operator has it sent
		return unsure(Folded{Notification: t.base().unsure()})
	case row.Status == Pending:
		return Folded{Notification: row}
	default:
		return Folded{Undecided: "the request has no outcome"}
	}
}

// Forgotten returns what a pending row becomes whose messages are older than everything that the topic still has.
func Forgotten(row Notification) Folded { return unsure(Folded{Notification: row.unsure()}) }

// unsure returns n as one that may have been sent.
func (n Notification) unsure() Notification {
	n.Status, n.FailedAt = Failed, n.RequestedAt
	n.Reason = unknownOutcome + "the topic has no outcome of this email, which may have been sent"
	return n
}

// unsure adds the words for a person to a notification whose outcome nobody knows.
func unsure(f Folded) Folded {
	if strings.HasPrefix(f.Notification.Reason, unknownOutcome) {
		f.Unknown = "the topic has no outcome of this email: an earlier version recorded none, retention removed it, or the email " +
			"waited for the mail server and its partition has no outcome at all"
		f.Do = "ask the mail server whether it took the email; if not, send it with `pas emails retry ID`: `pas emails list` has the id"
	}
	return f
}

// telling is a story in parts.
type telling struct {
	row        Notification
	requests   []messages.Message
	unrecorded bool // of the first request
	sent       *outcome
	failed     *outcome
}

// outcome is a message of the service about how an attempt to send ended.
type outcome struct {
	messages.Message
	messageID, orderID, kind, userID, channel, reason string
}

// tell sorts a story. A message of another program that has the name of an outcome is ignored.
func tell(row Notification, told []Told) *telling {
	t := &telling{row: row}
	for _, m := range told {
		switch e := m.Event.(type) {
		case messages.NotificationRequested:
			t.unrecorded = t.unrecorded || len(t.requests) == 0 && m.Unrecorded
			t.requests = append(t.requests, m.Message)
		case messages.NotificationSent:
			if m.Source == messages.ServiceNotifications && t.sent == nil {
				t.sent = &outcome{m.Message, e.MessageID, e.OrderID, e.Kind, e.UserID, e.Channel, ""}
			}
		case messages.NotificationFailed:
			if m.Source == messages.ServiceNotifications {
				t.failed = &outcome{m.Message, e.MessageID, e.OrderID, e.Kind, e.UserID, e.Channel, e.Reason}
			}
		}
	}
	return t
}

// failureCounts reports whether the row does not have the last failure yet. A pending row that is tried since a later time was
// retried by an operator after that failure.
func (t *telling) failureCounts() bool {
	switch t.row.Status {
	case Pending:
		return !t.row.TriedSince.After(t.failed.Time)
	case Failed:
		return t.row.FailedAt.Before(t.failed.Time)
	default:
		return true
	}
}

// ended returns the notification as its outcome says.
func (t *telling) ended(status Status) Folded {
	o := t.failed
	if status == Sent {
		o = t.sent
	}
	var f Folded
	n := t.of(o)
	n.Status, n.Attempts = status, max(n.Attempts, 1)
	if status == Sent {
		n.SentAt, n.Reason = o.Time, ""
	} else {
		n.FailedAt, n.Reason = o.Time, o.reason
	}
	if n.Message == "" {
		f.Unknown = "the topic has no longer the request, so address and text are lost"
		if status == Failed {
			f.Do = "ask for it again under another message id, if its user must have it"
		} else {
			f.Do = "nothing: the email was sent"
		}
	}
	f.Notification = n
	return f
}

// of returns the row, or the notification of the request that the outcome names. Without either only the outcome's own fields are
// known.
func (t *telling) of(o *outcome) Notification {
	if t.row.Status != "" {
		return t.row
	}
	for _, m := range t.requests {
		if m.ID == o.messageID {
			return requested(m)
		}
	}
	if len(t.requests) > 0 {
		return t.base()
	}
	return Notification{MessageID: o.messageID, OrderID: o.orderID, Kind: o.kind, UserID: o.userID, Channel: cmp.Or(o.channel, messages.ChannelEmail),
		RequestedAt: o.Time, OrderedAt: o.OrderTime, TraceParent: o.TraceParent}
}

// base returns the row, or the notification that the first request asks for.
func (t *telling) base() Notification {
	if t.row.Status != "" {
		return t.row
	}
	return requested(t.requests[0])
}

func requested(m messages.Message) Notification {
	n := New(m.ID, m.Time, m.Event.(messages.NotificationRequested))
	n.OrderedAt, n.TraceParent = m.OrderTime, m.TraceParent
	return n
}

// Named returns the notification that a message is about, with the fields that name it alone.
func Named(m messages.Message) Notification {
	switch e := m.Event.(type) {
	case messages.NotificationRequested:
		return Notification{MessageID: m.ID, OrderID: e.OrderID, Kind: e.Kind}
	case messages.NotificationSent:
		return Notification{MessageID: e.MessageID, OrderID: e.OrderID, Kind: e.Kind}
	case messages.NotificationFailed:
		return Notification{MessageID: e.MessageID, OrderID: e.OrderID, Kind: e.Kind}
	default:
		return Notification{}
	}
}

// StoryKey names the notification like Key, for a person: by order and kind, or by a space and the message id. No id begins or ends
// with a space, and no kind has one, so no two notifications share a key. It is "" for no notification.
func (n Notification) StoryKey() string {
	switch {
	case n.PerKind():
		return n.OrderID + " " + n.Kind
	case n.MessageID != "":
		return " " + n.MessageID
	default:
		return ""
	}
}

// Words returns the state in words, "" for no notification.
func (n Notification) Words() string {
	switch n.Status {
	case Sent:
		return string(n.Status) + " at " + n.SentAt.UTC().Format(time.RFC3339)
	case Failed:
		code, _, _ := strings.Cut(n.Reason, ":")
		return string(n.Status) + ", " + messages.Shown(code)
	default:
		return string(n.Status)
	}
}
