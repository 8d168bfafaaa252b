package feed

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// Message decodes a record of a feed as the services do. Its error says why they would park it.
func Message(r *kgo.Record) (messages.Message, error) { return messages.Decode(Record(r)) }

// Record returns a record of a feed as package messages reads it. Its topic must have no prefix.
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
