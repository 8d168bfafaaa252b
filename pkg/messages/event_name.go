package messages

import (
	"bytes"
	"fmt"
	"strings"
)

// eventName returns the name of a record's event, from its type (the header ce_type, "" without one) and the body's
// field `event`.
//
//	type                                  event in the body   the record is
//	none                                  none                the topic's first event
//	none                                  a name              that event
//	ours, a known event of the topic      none                that event
//	ours, a known event of the topic      a name              the event of the body
//	ours, any other event or version      anything            an unknown event
//	of another contract                   a name              the event of the body
//	of another contract                   none                rejected: foreign_type
//
// A type is ours when it begins with "pasdetrois.". Only a record without any type can be the topic's first event: a type
// shows that the producer means one certain event, and taking `order.cancelled` for an order would charge its customer.
// The error is a *DecodeError or wraps ErrUnknownEvent.
func eventName(typ string, event value, topic, first string) (string, error) {
	var name string
	switch event.kind {
	case absent:
	case text:
		var p problems
		if p.name("event", event.s, MaxIDLength); len(p) > 0 {
			return "", &DecodeError{ReasonInvalidMessage, p.join().Error()}
		}
		name = event.s
	default:
		return "", &DecodeError{ReasonInvalidMessage, "event must be text, not " + event.kind.String()}
	}
	if typ == "" {
		if name == "" {
			name = first
		}
		return name, nil
	}
	named := strings.TrimSuffix(strings.TrimPrefix(typ, typePrefix), typeSuffix)
	switch ours := isOurType(typ); {
	case ours && (typ != ceType(named) || topicOf(named) != topic):
		return "", fmt.Errorf("%w: type %s on topic %s", ErrUnknownEvent, quoted(typ), topic)
	case name != "":
		return name, nil
	case ours:
		return named, nil
	}
	return "", &DecodeError{ReasonForeignType, fmt.Sprintf(
		`the record's type %s is not one of this contract, and the body has no event: to place it here, write "event":%s into the body, or the type %s`,
		quoted(typ), quoted(first), ceType(first))}
}

// Announced returns the event of a record without decoding it. It reports true when the record's type and the first member of
// its body name the same event of the topic. Every record of Message.Record is like that. A record that is announced can still
// be invalid.
func Announced(r Record) (event string, ok bool) {
	var typ []byte
	for i := range r.Headers {
		if r.Headers[i].Key == headerType && len(r.Headers[i].Value) > 0 {
			typ = r.Headers[i].Value // the last one counts, as in readHeaders
		}
	}
	name, ours := bytes.CutPrefix(typ, []byte(typePrefix))
	name, versioned := bytes.CutSuffix(name, []byte(typeSuffix))
	if !ours || !versioned {
		return "", false
	}
	rest, first := bytes.CutPrefix(r.Value, []byte(`{"event":"`))
	rest, same := bytes.CutPrefix(rest, name)
	if !first || !same || !bytes.HasPrefix(rest, []byte(`",`)) || topicOf(string(name)) != r.Topic {
		return "", false
	}
	return string(name), true
}

// isOurType reports whether a CloudEvents type claims to be of this contract. Upper case is no way around the check.
func isOurType(typ string) bool {
	return len(typ) >= len(typePrefix) && strings.EqualFold(typ[:len(typePrefix)], typePrefix)
}
