package messages

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The reasons of a DecodeError: stable codes, kept with a parked record. Metrics, dashboards and operators' scripts depend on
// them, so a code never changes its meaning.
const (
	ReasonEmptyBody       = "empty_body"       // no payload, e.g. a tombstone
	ReasonTooLarge        = "too_large"        // beyond MaxBody
	ReasonNotJSON         = "not_json"         // no JSON, not one value, invalid UTF-8
	ReasonTooDeep         = "too_deep"         // nested deeper than any message is
	ReasonDuplicateKey    = "duplicate_key"    // one key twice in one object
	ReasonInvalidMessage  = "invalid_message"  // JSON, but not a valid body of its event
	ReasonUnknownCurrency = "unknown_currency" // a currency that ISO 4217 does not have
	ReasonUnknownTopic    = "unknown_topic"    // not one of the contract's four
	ReasonForeignType     = "foreign_type"     // a ce_type of another contract, and no `event` in the body
)

// DecodeError is the reason why a record cannot be understood: Reason is a stable code, Detail is for people. A retry gives the
// same error, so a consumer parks the record.
type DecodeError struct {
	Reason string
	Detail string
}

func (e *DecodeError) Error() string { return e.Reason + ": " + e.Detail }

// Decode reads a record of one of the four topics, tolerantly. Its error is a *DecodeError or wraps ErrUnknownEvent.
// A message that it returns is valid. It keeps nothing of r.
//
// Decode fills in the fields that a plain producer leaves out. The event is the topic's first one unless the record has a type
// (see eventName). The id comes from topic, key, time and value, and the time from the record. The currency is
// DefaultCurrency, the channel email. A CloudEvent in structured mode is unwrapped first. Ids may be integers. Amounts may be
// decimals in quotes or have the noise of float arithmetic. The timestamp may be text or epoch seconds. null is the same as
// absent, and fields that the event does not have are ignored.
func Decode(r Record) (Message, error) {
	first, ok := firstEvent(r.Topic)
	if !ok {
		return Message{}, &DecodeError{ReasonUnknownTopic, quoted(r.Topic) + " is no topic of the contract"}
	}
	b := body{limits: limits{size: MaxBody}}
	if err := b.scan(r.Value); err != nil {
		return Message{}, err
	}
	h, err := b.open(r.Headers)
	if err != nil {
		return Message{}, err
	}
	name, err := eventName(h.typ, b.f[fEvent], r.Topic, first)
	if err != nil {
		return Message{}, err
	}

	c := converter{body: &b}
	event := c.event(r.Topic, name)
	if event == nil {
		return Message{}, fmt.Errorf("%w %s on topic %s", ErrUnknownEvent, quoted(name), r.Topic)
	}
	m := Message{Event: event, ID: h.messageID(r), Source: h.source, OrderTime: h.orderTime, Outside: h.outside,
		TraceParent: h.traceParent}
	sent, ok := c.timestamp()
	switch {
	case ok:
		m.Time = sent
	case !h.time.IsZero():
		m.Time = h.time
	default:
		m.Time = r.Time.UTC()
	}
	if err := c.err(); err != nil {
		return Message{}, err
	}
	if err := event.Validate(); err != nil {
		return Message{}, &DecodeError{ReasonInvalidMessage, oneLine(err)}
	}
	return m, nil
}

// oneLine returns the joined problems of err on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// byteOrderMark may come before JSON text: RFC 8259, section 8.1, lets a reader ignore it.
const byteOrderMark = "\ufeff"

// limits bound a body: size in bytes, depth in levels of nesting. The zero value of depth is maxDepth.
type limits struct{ size, depth int }

// WithoutByteOrderMark returns JSON text without the byte order mark that may come before it. Decode ignores the mark.
func WithoutByteOrderMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte(byteOrderMark)) }

// scan reads the whole value in one pass and keeps the members of its top level. It checks all of the text, also members that no
// event has: a text that is ambiguous anywhere is rejected.
func (b *body) scan(raw []byte) error {
	switch {
	case len(raw) == 0:
		return &DecodeError{ReasonEmptyBody, "the record has no payload"}
	case len(raw) > b.limits.size:
		return &DecodeError{ReasonTooLarge, fmt.Sprintf("%d bytes, at most %d are read", len(raw), b.limits.size)}
	case raw[0] == 0:
		return &DecodeError{ReasonNotJSON, "the value begins with a zero byte, as a schema registry's serializer writes it (a zero, then the schema's id): use a plain JSON serializer, or let it write the id into a header"}
	case !utf8.Valid(raw):
		return &DecodeError{ReasonNotJSON, "invalid UTF-8"}
	}
	var keys [24]string
	s := scanner{s: strings.TrimPrefix(string(raw), byteOrderMark), most: b.limits.depth, keys: keys[:0]}
	b.source = s.s
	s.space()
	if s.pos < len(s.s) && s.s[s.pos] == '{' {
		if err := s.object(b.set); err != nil {
			return err
		}
		if err := s.end(); err != nil {
			return err
		}
		return nil
	}
	v, err := s.value()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return err
	}
	return &DecodeError{ReasonInvalidMessage, "the body must be an object, not " + v.kind.String()}
}

// end rejects any text behind the value, other than space.
func (s *scanner) end() *DecodeError {
	if s.space(); s.pos < len(s.s) {
		return s.fail(ReasonNotJSON, "there is more behind the value")
	}
	return nil
}
