package windows

import (
	"unicode"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/feed"
	"pasdetrois/pkg/messages"
)

const (
	// maxName is the longest name of an event, in bytes.
	maxName = 100
	// maxAhead is how far in milliseconds an event's time may be ahead of its record's. One clock that is years ahead
	// would make every later event of the partition late.
	maxAhead = 60 * 60 * 1000
)

// event is what counts of a record.
type event struct {
	name     string
	at       int64  // milliseconds since 1970
	currency string // "" = it has no amount
	minor    int64

	badAmount bool // it has an amount that cannot be read
	ahead     bool // its time was too far ahead and is its record's now
}

// readEvent returns false for a record that is no JSON object.
func readEvent(r *kgo.Record) (event, bool) {
	body, ok := feed.ReadBody(r.Value)
	if !ok {
		return event{}, false
	}
	e := event{name: name(body, r.Topic), at: r.Timestamp.UnixMilli()}
	if t, ok := messages.ParseTime(body.Scalar("timestamp")); ok {
		own := e.at
		e.at = t.UnixMilli()
		if own > 0 && e.at > own+maxAhead {
			e.at, e.ahead = own, true
		}
	}
	e.readAmount(body)
	return e, true
}

// name returns the event's name, "" when it has none that could be shown and stored.
func name(body feed.Body, topic string) string {
	name := body.Event(topic)
	if len(name) > maxName {
		return ""
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return ""
		}
	}
	return name
}

func (e *event) readAmount(body feed.Body) {
	field := "amount"
	if !body.Has(field) {
		field = "total"
	}
	if !body.Has(field) {
		return
	}
	currency := messages.DefaultCurrency
	if body.Has("currency") {
		currency, _ = body.Text("currency")
	}
	amount, err := messages.ParseMoney(body.Scalar(field), currency)
	if err != nil {
		e.badAmount = true
		return
	}
	e.currency, e.minor = amount.Currency, amount.Minor
}
