package domain

import (
	"time"

	"pasdetrois/pkg/messages"
)

// Status is the state of a notification. The CHECK notification_status has the same set.
//
//	pending -> sent    the mail server (or the log) took the email
//	pending -> failed  the mail server refused it for good, or attempts lasted too long
//	failed -> pending  an operator has it sent again
type Status string

const (
	// Pending notifications are being sent, or wait for their next attempt. There is no last attempt.
	Pending Status = "pending"
	// Sent is final.
	Sent Status = "sent"
	// Failed is final: Reason holds the mail server's words.
	Failed Status = "failed"
)

// Notification is one message to one user, which is sent once.
type Notification struct {
	ID        int64  // 0 until it is stored
	MessageID string // of the message that requested it
	OrderID   string // "" when it belongs to no order
	Kind      string // one of the contract's kinds, or ""
	UserID    string
	To        string
	Message   string
	Channel   string

	Status   Status
	Reason   string // of the latest attempt that failed
	Attempts int    // that have ended
	Claim    int    // number of the latest claim

	RequestedAt time.Time // when the message was made
	OrderedAt   time.Time // when the order was received, zero when the message did not say
	TraceParent string    // of the message, "" when it had none
	CreatedAt   time.Time
	TriedSince  time.Time // start of the age at which attempts end: when it was stored, or retried by an operator, or its time
	SentAt      time.Time // zero unless Sent
	FailedAt    time.Time // of the latest failure, zero when it never failed, or failed under an earlier version
	SlotAt      time.Time // the time that its mailbox has room for it, zero when it has none or it is over
}

// New returns the notification that a message requests. The event is valid: the contract's decoder has checked it.
func New(messageID string, at time.Time, e messages.NotificationRequested) Notification {
	to := e.To
	if to == "" {
		to = DefaultAddress(e.UserID)
	}
	return Notification{
		MessageID: messageID, OrderID: e.OrderID, Kind: e.Kind, UserID: e.UserID, To: to, Message: e.Message,
		Channel: e.Channel, Status: Pending, RequestedAt: at,
	}
}

// Key names the notification: two requests with the same key are one, and the first one wins. An order has one
// notification of each kind; what belongs to no order, or names no kind, is kept once per message. The key is a UUID made
// of these alone, so it stays the same after a redelivery, a replay and a restore.
func (n Notification) Key() string {
	if n.PerKind() {
		// By the contract's rule for ids this is also the id of the message, when one of our own services sent it.
		return messages.ID(n.OrderID, messages.EventNotificationRequested, n.Kind)
	}
	return messages.ID("", messages.EventNotificationRequested, n.MessageID)
}

// PerKind reports whether the notification is the one of its order and kind. Any other is kept once per message id.
func (n Notification) PerKind() bool { return n.OrderID != "" && n.Kind != "" }

// IsEmptied reports whether retention took address and text. Every other notification has an address.
func (n Notification) IsEmptied() bool { return n.ID != 0 && n.To == "" }

// SameContent reports whether o has the same user, address and text.
func (n Notification) SameContent(o Notification) bool {
	return n.OrderID == o.OrderID && n.Kind == o.Kind && n.UserID == o.UserID && n.To == o.To &&
		n.Message == o.Message && n.Channel == o.Channel
}
