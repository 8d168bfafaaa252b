package domain

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"pasdetrois/pkg/messages"
)

// messageIDDomain stands to the right of the @ in every Message-ID. It is reserved, so nobody else makes ids under it.
const messageIDDomain = "pasdetrois.invalid"

// maxSubject keeps a header line, with its name, far below SMTP's limit of 998 bytes. In characters.
const maxSubject = 200

// ErrOutcomeUnknown is wrapped by the error of an attempt whose answer never came: the mail server has the whole email
// and may deliver it. Another attempt may tell the customer twice.
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

// Email returns the email that tells n.
func (n Notification) Email() Email {
	return Email{
		MessageID: "<" + n.Key() + "@" + messageIDDomain + ">", To: n.To, Subject: subject(n.Kind, n.OrderID),
		Message: n.Message, OrderID: n.OrderID, Kind: n.Kind, Date: n.RequestedAt,
	}
}

func subject(kind, orderID string) string {
	if orderID == "" {
		if kind == messages.KindFraudAlert {
			return "Suspected fraud"
		}
		return "A message from Pas de Trois"
	}
	switch kind {
	case messages.KindConfirmed:
		return oneLine("Order " + orderID + " is confirmed")
	case messages.KindRejected:
		return oneLine("Order " + orderID + " could not be accepted")
	case messages.KindFailed:
		return oneLine("Order " + orderID + " has failed")
	case messages.KindCancelled:
		return oneLine("Order " + orderID + " is cancelled")
	case messages.KindFraudAlert:
		return oneLine("Suspected fraud: order " + orderID)
	default:
		return oneLine("About order " + orderID)
	}
}

// oneLine makes s fit for a header: a control character becomes a space, so no part of an id can start another header.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > maxSubject {
		s = string(runes[:maxSubject-1]) + "…"
	}
	return s
}
