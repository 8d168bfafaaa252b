package domain

import (
	"errors"
	"time"

	"pasdetrois/pkg/messages"
)

// messageIDDomain stands to the right of the @ in every Message-ID. The domain is reserved, so no other system makes ids
// under it.
const messageIDDomain = "pasdetrois.invalid"

// ErrOutcomeUnknown is wrapped by the error of an attempt whose answer never came: the mail server has the whole email
// and may deliver it. Another attempt may reach the customer twice.
var ErrOutcomeUnknown = errors.New("the mail server may have taken the email")

// Email is a notification as a mail server takes it.
type Email struct {
	MessageID string // with angle brackets; the same however often the email is sent
	To        string
	Subject   string // one line
	Message   string
	OrderID   string
	Kind      string
	Date      time.Time
}

// Email returns the email of n.
func (n Notification) Email() Email {
	return Email{
		MessageID: "<" + n.Key() + "@" + messageIDDomain + ">", To: n.To, Subject: subject(n.Kind, n.OrderID),
		Message: n.Message, OrderID: n.OrderID, Kind: n.Kind, Date: n.RequestedAt,
	}
}

// subject shows the order id as foreign text, with messages.Shown. The writers of the topic notifications choose the text of
// an email; no producer chooses its subject.
func subject(kind, orderID string) string {
	order := messages.Shown(orderID)
	if orderID == "" {
		if kind == messages.KindFraudAlert {
			return "Suspected fraud"
		}
		return "A message from Pas de Trois"
	}
	switch kind {
	case messages.KindConfirmed:
		return "Order " + order + " is confirmed"
	case messages.KindRejected:
		return "Order " + order + " could not be accepted"
	case messages.KindFailed:
		return "Order " + order + " has failed"
	case messages.KindCancelled:
		return "Order " + order + " is cancelled"
	case messages.KindFraudAlert:
		return "Suspected fraud: order " + order
	default:
		return "About order " + order
	}
}
