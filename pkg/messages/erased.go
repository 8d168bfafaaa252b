package messages

import (
	"regexp"
	"strings"
)

// ErasedDomain is the domain of the address that stands for the addresses of an erased user. No mail server can be there (RFC 2606).
const ErasedDomain = "erased.invalid"

// ErasedText stands for each text that was written for an erased user, or by another system about one.
const ErasedText = "erased"

// ErasedAddress returns the address that replaces all addresses of an erased user.
func ErasedAddress(pseudonym string) string { return pseudonym + "@" + ErasedDomain }

// CodePattern matches a reason that is a code of the services. Any other reason is somebody's text.
const CodePattern = `^[a-z0-9_]{0,64}$`

var code = regexp.MustCompile(CodePattern)

// UserOf returns the user whom a message names, "" when it names nobody.
func UserOf(e Event) string {
	switch e := e.(type) {
	case OrderPlaced:
		return e.UserID
	case PaymentRequested:
		return e.UserID
	case PaymentCaptured:
		return e.UserID
	case RefundRequested:
		return e.UserID
	case PaymentRefunded:
		return e.UserID
	case NotificationRequested:
		return e.UserID
	case OrderRejected:
		return e.UserID
	case PaymentFailed:
		return e.UserID
	case OrderConfirmed:
		return e.UserID
	case OrderCancelled:
		return e.UserID
	case OrderFailed:
		return e.UserID
	case NotificationSent:
		return e.UserID
	case NotificationFailed:
		return e.UserID
	}
	return ""
}

// WithoutUser returns an event with the pseudonym instead of its user, and without the user's address and texts. It says the same as the
// rows from which the user was erased, so each service takes it for a duplicate.
func WithoutUser(e Event, pseudonym string) Event {
	switch e := e.(type) {
	case OrderPlaced:
		e.UserID, e.Email = pseudonym, ErasedAddress(pseudonym) // also for the default address, so that no email follows from it
		return e
	case PaymentRequested:
		e.UserID = pseudonym
		return e
	case PaymentCaptured:
		e.UserID = pseudonym
		return e
	case RefundRequested:
		e.UserID, e.Reason = pseudonym, ReasonWithoutText(e.Reason)
		return e
	case PaymentRefunded:
		e.UserID = pseudonym
		return e
	case NotificationRequested:
		e.UserID, e.To, e.Message = pseudonym, ErasedAddress(pseudonym), ErasedText
		return e
	case OrderRejected:
		e.UserID, e.Reason = pseudonym, ReasonWithoutText(e.Reason)
		if e.Email != "" {
			e.Email = ErasedAddress(pseudonym)
		}
		return e
	case PaymentFailed:
		e.UserID, e.Reason = pseudonym, ReasonWithoutText(e.Reason)
		return e
	case OrderConfirmed:
		e.UserID = pseudonym
		return e
	case OrderCancelled:
		e.UserID, e.Reason = pseudonym, ReasonWithoutText(e.Reason)
		return e
	case OrderFailed:
		e.UserID, e.Reason = pseudonym, ReasonWithoutText(e.Reason)
		return e
	case NotificationSent:
		e.UserID = pseudonym
		return e
	case NotificationFailed:
		e.UserID, e.Reason = pseudonym, failure(e.Reason)
		return e
	}
	return e
}

// failure keeps the code in front of a mail server's words.
func failure(reason string) string {
	code, _, _ := strings.Cut(reason, ":")
	return ReasonWithoutText(code)
}

// ReasonWithoutText returns a reason without the text of a person or of another system.
func ReasonWithoutText(reason string) string {
	if code.MatchString(reason) {
		return reason
	}
	return ErasedText
}
