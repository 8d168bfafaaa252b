package windows

import (
	"errors"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/feed"
)

// partition is a partition of a topic, whose name has no prefix.
type partition struct {
	topic     string
	partition int32
}

// position is the place up to which a partition was read.
type position struct {
	next      int64 // the offset to read next
	watermark int64 // the newest event's time, in milliseconds since 1970
}

// noEvent is the watermark of a partition without any event.
const noEvent = math.MinInt64

// key names one row: an event's name and currency within a window.
type key struct {
	start           int64 // of the window, in milliseconds since 1970
	event, currency string
}

// counts are of one row.
type counts struct{ events, late, minor int64 }

// Counters count the records that were read. BadAmounts and Ahead are part of Counted and Late.
type Counters struct {
	Read       int64 `json:"read"`        // = Counted + Late + NotJSON + Empty
	Counted    int64 `json:"counted"`     // events in their windows
	Late       int64 `json:"late"`        // events that were written, and came, after their window's end and grace
	NotJSON    int64 `json:"not_json"`    // records that are no events: no JSON object that can be read in one way only
	Empty      int64 `json:"empty"`       // records without a value, such as tombstones
	BadAmounts int64 `json:"bad_amounts"` // events whose amount cannot be read: counted, but in no sum
	Ahead      int64 `json:"ahead"`       // events with a time too far ahead: counted under their record's time
	PassedOver int64 `json:"passed_over"` // batches of records that inflate too far; nothing in them is read
}

func (c *Counters) add(o Counters) {
	c.Read += o.Read
	c.Counted += o.Counted
	c.Late += o.Late
	c.NotJSON += o.NotJSON
	c.Empty += o.Empty
	c.BadAmounts += o.BadAmounts
	c.Ahead += o.Ahead
	c.PassedOver += o.PassedOver
}

// batch is the counts of some records, to be added to the stored ones. Its sums cannot overflow: a batch has far less
// than a million events, and an amount less than 10^12 minor units.
type batch struct {
	cells     map[key]counts
	positions map[partition]position // where the partitions read for this batch stand after it
	counters  Counters
}

func newBatch() *batch {
	return &batch{cells: map[key]counts{}, positions: map[partition]position{}}
}

// tally adds records to batches. It keeps the positions of all partitions from batch to batch. One goroutine uses it.
type tally struct {
	size, grace int64 // milliseconds
	at          map[partition]position
	names       names
}

func newTally(size, grace time.Duration, at map[partition]position) *tally {
	return &tally{size: size.Milliseconds(), grace: grace.Milliseconds(), at: at, names: newNames()}
}

// start returns the start of the window that contains a time. Windows are aligned with 1970, so all programs cut the
// same ones.
func (t *tally) start(at int64) int64 {
	start := at - at%t.size
	if start > at { // before 1970
		start -= t.size
	}
	return start
}

// add counts one record. The records of a partition must come in their order, because each is compared with the
// watermark before it. A record that is no event moves the offset and not the watermark.
func (t *tally) add(b *batch, r *kgo.Record) {
	p := partition{r.Topic, r.Partition}
	at, known := t.at[p]
	if !known {
		at.watermark = noEvent
	}
	at.next = r.Offset + 1
	b.counters.Read++
	e, err := readEvent(r)
	var bad *messages.DecodeError
	switch {
	case err == nil:
		t.names.bound(&e)
		t.count(b, e, at.watermark)
		at.watermark = max(at.watermark, e.at)
	case errors.As(err, &bad) && bad.Reason == messages.ReasonEmptyBody:
		b.counters.Empty++
	default:
		b.counters.NotJSON++
	}
	t.at[p], b.positions[p] = at, at
}

// passOver moves the offset behind a batch that inflates too far. None of its records is counted, in any window.
func (t *tally) passOver(b *batch, passed feed.Passed) {
	p := partition{passed.Topic, passed.Partition}
	at, known := t.at[p]
	if !known {
		at.watermark = noEvent
	}
	at.next = passed.Next
	b.counters.PassedOver++
	t.at[p], b.positions[p] = at, at
}

// count adds an event to its window, or to the window's late events. An event is late only if its window was over both
// by the watermark before it and by its own record's time. A record without a time is judged by the watermark alone.
func (t *tally) count(b *batch, e event, watermark int64) {
	if e.badAmount {
		b.counters.BadAmounts++
	}
	if e.ahead {
		b.counters.Ahead++
	}
	k := key{t.start(e.at), e.name, e.currency}
	c := b.cells[k]
	if over := k.start + t.size + t.grace; over <= watermark && (over <= e.written || e.written <= 0) {
		b.counters.Late++
		c.late++
	} else {
		b.counters.Counted++
		c.events++
		c.minor += e.minor
	}
	b.cells[k] = c
}
