package messages

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Record encodes m for Kafka: key, body and headers. It validates first. The id is required; a zero Time is now; a
// message that belongs to no trace starts one (NewTraceParent). The key is nil for a notification without order.
func (m Message) Record() (Record, error) {
	if m.Event == nil {
		return Record{}, errors.New("encode message: no event")
	}
	if err := m.check(); err != nil {
		return Record{}, fmt.Errorf("encode %s %s: %w", m.Event.EventName(), m.ID, err)
	}
	at := m.Time.UTC()
	if m.Time.IsZero() {
		at = time.Now().UTC()
	}
	value, err := appendBody(make([]byte, 0, 512), m.Event, at)
	if err != nil {
		return Record{}, err
	}
	r := Record{Topic: m.Event.Topic(), Value: value, Time: at}
	key := m.Event.Key()
	r.Headers = make([]Header, 0, 10)
	set := func(name, value string) { r.Headers = append(r.Headers, Header{Key: name, Value: []byte(value)}) }
	set(headerSpecVersion, specVersion)
	set(headerID, m.ID)
	set(headerType, ceType(m.Event.EventName()))
	set(headerSource, ceSource(m.Source))
	set(headerTime, at.Format(timeLayout))
	if key != "" {
		r.Key = []byte(key)
		set(headerSubject, key)
	}
	if !m.OrderTime.IsZero() {
		set(headerOrderTime, m.OrderTime.UTC().Format(timeLayout))
	}
	if m.Outside {
		set(headerOutside, isOutside)
	}
	set(headerContentType, contentType)
	if m.Signature != "" {
		set(SignatureHeader, m.Signature)
	}
	parent := traceParent(m.TraceParent)
	if parent == "" {
		parent = NewTraceParent()
	}
	set(headerTraceParent, parent)
	return r, nil
}

// check rejects a message that Decode would not accept. So no service can write a record that another one parks.
func (m Message) check() error {
	if err := validName(m.ID); err != nil {
		return fmt.Errorf("message id: %w", err)
	}
	if m.Source != "" {
		if err := validName(m.Source); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	if _, ok := inRange(m.Time); !ok && !m.Time.IsZero() {
		return errors.New("time is outside the years 1 to 9999")
	}
	if _, ok := inRange(m.OrderTime); !ok && !m.OrderTime.IsZero() {
		return errors.New("order time is outside the years 1 to 9999")
	}
	return m.Event.Validate()
}

// appendBody writes the flat JSON object: event first, timestamp last, without empty fields. The order is fixed, so the same
// message always has the same bytes.
func appendBody(b []byte, event Event, at time.Time) ([]byte, error) {
	w := writer{b: append(b, '{')}
	w.text("event", event.EventName())
	if !w.event(event) {
		return nil, fmt.Errorf("encode %T: not a type of the contract", event)
	}
	w.text("timestamp", at.Format(timeLayout))
	return append(w.b, '}'), nil
}

// writer appends the members of a JSON object.
type writer struct{ b []byte }

// key writes a comma where one is due, and the member's name. The names are our own, so none needs an escape.
func (w *writer) key(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

// text writes a member unless it is empty.
func (w *writer) text(name, s string) {
	if s != "" {
		w.key(name)
		w.b = appendText(w.b, s)
	}
}

// decimal writes an amount as a number with all decimals of its currency. A float would lose cents: it is never one here.
func (w *writer) decimal(name string, m Money) {
	w.key(name)
	w.b = m.appendDecimal(w.b)
}

// whole writes a whole number.
func (w *writer) whole(name string, n int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

// items writes the lines of an order, and nothing when it has none.
func (w *writer) items(items []Item) {
	if len(items) == 0 {
		return
	}
	w.key("items")
	w.b = append(w.b, '[')
	for i, it := range items {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(w.b, '{')
		w.text("sku", it.SKU)
		w.key("quantity")
		w.b = strconv.AppendInt(w.b, int64(it.Quantity), 10)
		if it.UnitPrice != nil {
			w.decimal("unit_price", *it.UnitPrice)
		}
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ']')
}

// appendText writes a JSON string. Valid UTF-8 stays as it is.
func appendText(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[start:]...), '"')
}
