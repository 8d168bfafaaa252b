package feed

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// Message decodes a record of a feed as services with the same trusted keys do. Its error is the reason for which they would park
// the record.
func (c Config) Message(r *kgo.Record) (messages.Message, error) {
	return c.Trusted.Decode(Record(r))
}

// Record returns a record of a feed in the form that package messages reads. Its topic must have no prefix. Key and
// value are not copied.
func Record(r *kgo.Record) messages.Record {
	out := messages.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Time: r.Timestamp}
	if len(r.Headers) > 0 {
		out.Headers = make([]messages.Header, len(r.Headers))
		for i, h := range r.Headers {
			out.Headers[i] = messages.Header{Key: h.Key, Value: h.Value}
		}
	}
	return out
}
