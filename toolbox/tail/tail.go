// Package tail reads, filters and counts the records of topics, for people to read.
package tail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/toolbox/feed"
)

// Config names the records to show. Run calls its functions one at a time.
type Config struct {
	Feed   feed.Config
	Filter Filter
	// Max ends the run after so many shown records; 0 sets no limit.
	Max int
	// Ready is called when Run will read everything that is written from now on. It may be nil.
	Ready func()
	// Show is called for each record that the filter lets through. Its error ends the run; the record is not done then,
	// so a group delivers it again.
	Show func(Record) error
	// PassOver is called for each batch that inflates too far. It may be nil.
	PassOver func(feed.Passed)
}

// Filter lets a record through that meets all conditions. The zero value lets everything through. It is safe for
// concurrent use.
type Filter struct {
	Grep   *regexp.Regexp // in the key or the value, as text
	Order  string         // the field order_id, else the key
	User   string         // the field user_id
	Events []string       // one of these events
}

// fields reports whether a condition needs a field of a JSON object. A record without fields cannot meet it.
func (f Filter) fields() bool { return f.Order != "" || f.User != "" || len(f.Events) > 0 }

// Record is a record to show.
type Record struct {
	Topic     string // without prefix
	Partition int32
	Offset    int64
	Time      time.Time
	Key       []byte
	Value     []byte
	Headers   []Header
	// Unreadable is the reason for which the services cannot read the value, a reason of package messages. It is "" for
	// a JSON object.
	Unreadable string
	// NotSigned is true for a record that services with the same trusted keys would park, because none of these keys signed it.
	NotSigned bool
	// Event is the event's name, "" without one; see messages.Reading.
	Event string
}

// Header is one header of a record.
type Header struct{ Key, Value string }

// Summary counts the records of a run: Read = Shown + Skipped. Unreadable and Empty are parts of Read: values that are
// no JSON object, and missing values, as in a tombstone. PassedOver counts batches that inflate too far; their records
// are in no other number.
type Summary struct {
	Read, Shown, Skipped, Unreadable, Empty, PassedOver int64
	// Waiting names partitions whose last records cannot be read yet. A run that follows leaves it empty.
	Waiting []feed.Waiting
}

// Run shows records until ctx ends, Max is reached or there is no more to show, which is no error. Its errors are those
// of package feed and of Show. In a group, a record is done after it was shown or skipped, so a crash shows it again.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	var s Summary
	cfg.Feed.PassOver = func(p feed.Passed) {
		s.PassedOver++
		if cfg.PassOver != nil {
			cfg.PassOver(p)
		}
	}
	f, err := feed.Open(ctx, cfg.Feed)
	if err != nil {
		return s, err
	}
	defer f.Close()
	if !cfg.Feed.Follow {
		s.Waiting = f.Waiting()
	}
	if cfg.Ready != nil {
		cfg.Ready()
	}
	for ctx.Err() == nil {
		records, err := f.Poll(ctx)
		if errors.Is(err, io.EOF) || err != nil && ctx.Err() != nil {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		for _, r := range byTime(records) {
			if ctx.Err() != nil {
				return s, nil
			}
			if err := s.take(cfg, r); err != nil {
				return s, err
			}
			f.Done(r)
			if cfg.Max > 0 && s.Shown == int64(cfg.Max) {
				return s, nil
			}
		}
	}
	return s, nil
}

// byTime merges the records of several partitions by time, as far as each partition's own order allows. Within one Poll
// only: records of a later one may be older.
func byTime(records []*kgo.Record) []*kgo.Record {
	type place struct {
		topic     string
		partition int32
	}
	lines := map[place][]*kgo.Record{}
	var places []place
	for _, r := range records {
		at := place{r.Topic, r.Partition}
		if lines[at] == nil {
			places = append(places, at)
		}
		lines[at] = append(lines[at], r)
	}
	merged := make([]*kgo.Record, 0, len(records))
	for len(merged) < len(records) {
		var first place
		for _, at := range places {
			line := lines[at]
			if len(line) > 0 && (len(lines[first]) == 0 || line[0].Timestamp.Before(lines[first][0].Timestamp)) {
				first = at
			}
		}
		merged = append(merged, lines[first][0])
		lines[first] = lines[first][1:]
	}
	return merged
}

// take counts a record, and shows it if the filter lets it through. JSON is shown on one line; other values are shown
// as they are.
func (s *Summary) take(cfg Config, r *kgo.Record) error {
	s.Read++
	reading, err := messages.Read(feed.Record(r))
	var bad *messages.DecodeError
	if errors.As(err, &bad) && bad.Reason == messages.ReasonEmptyBody {
		s.Empty++
	} else if err != nil {
		s.Unreadable++
	}
	if !cfg.Filter.matches(r, reading, err == nil) {
		s.Skipped++
		return nil
	}
	shown := Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp, Key: r.Key, Value: r.Value,
		Event: reading.Name()}
	if bad != nil {
		shown.Unreadable = bad.Reason
	}
	if _, refused := cfg.Feed.Message(r); cfg.Feed.Trusted != nil && errors.As(refused, &bad) {
		shown.NotSigned = bad.Reason == signing.ReasonNotSigned
	}
	for _, h := range r.Headers {
		shown.Headers = append(shown.Headers, Header{h.Key, string(h.Value)})
	}
	if err == nil {
		var compact bytes.Buffer
		if json.Compact(&compact, messages.WithoutByteOrderMark(r.Value)) == nil {
			shown.Value = compact.Bytes()
		}
	}
	s.Shown++
	return cfg.Show(shown)
}

// matches reports whether the filter lets the record through. readable is false for a record that has no fields.
func (f Filter) matches(r *kgo.Record, reading messages.Reading, readable bool) bool {
	switch {
	case f.fields() && !readable:
		return false
	case f.User != "" && reading.UserID != f.User:
		return false
	case len(f.Events) > 0 && !f.hasEvent(reading):
		return false
	case f.Order != "" && !isOrder(f.Order, r, reading):
		return false
	}
	return f.Grep == nil || f.Grep.Match(r.Value) || f.Grep.Match(r.Key)
}

// isOrder reports whether the record is about the order: by its field order_id, else by its key. The key of a message of
// the contract is the order's id, but another producer may send no key. The key of inventory_changed is a sku, which may
// be the same text.
func isOrder(id string, r *kgo.Record, reading messages.Reading) bool {
	if reading.OrderID != "" {
		return reading.OrderID == id
	}
	return reading.Event != messages.EventInventoryChanged && string(r.Key) == id
}

// hasEvent reports whether the record is one of the events asked for. "unknown" asks for all records of unknown types.
func (f Filter) hasEvent(reading messages.Reading) bool {
	return slices.Contains(f.Events, reading.Name()) || reading.Unknown != "" && slices.Contains(f.Events, messages.UnknownEvent)
}
