package windows

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/feed"
)

// maxAhead is how far in milliseconds an event's time may be ahead of its record's. One clock that is years ahead
// would make every later event of the partition late.
const maxAhead = 60 * 60 * 1000

// event is the part of a record that counts.
type event struct {
	name     string
	at       int64  // milliseconds since 1970
	written  int64  // its record's time, likewise; not positive when the record has none
	currency string // "" = it has no amount
	minor    int64

	badAmount bool // it has an amount that cannot be read
	ahead     bool // its time was too far ahead and is its record's now
}

// readEvent reads a record as the services do; see messages.Read. Its error says why the record is no event. It never
// blocks.
func readEvent(r *kgo.Record) (event, error) {
	reading, err := messages.Read(feed.Record(r))
	if err != nil {
		return event{}, err
	}
	written := r.Timestamp.UnixMilli()
	e := event{name: reading.Name(), at: written, written: written, currency: reading.Amount.Currency, minor: reading.Amount.Minor,
		badAmount: reading.BadAmount}
	if !reading.Time.IsZero() {
		own := e.at
		e.at = reading.Time.UnixMilli()
		if own > 0 && e.at > own+maxAhead {
			e.at, e.ahead = own, true
		}
	}
	return e, nil
}
