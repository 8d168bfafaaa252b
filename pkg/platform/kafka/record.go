package kafka

import (
	"strings"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/messages"
)

// ToSarama returns r under the broker's topic name, with its bytes, key and headers unchanged. The result shares r's slices,
// so the caller leaves them alone until the broker has answered. An empty key becomes no key: such a record has no order, and
// the producer picks its partition. The partition and offset of r are not used.
func ToSarama(r messages.Record, topicPrefix string) *sarama.ProducerMessage {
	out := &sarama.ProducerMessage{Topic: topicPrefix + r.Topic, Value: sarama.ByteEncoder(r.Value), Timestamp: r.Time}
	if len(r.Key) > 0 {
		out.Key = sarama.ByteEncoder(r.Key)
	}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
	}
	return out
}

// FromSarama returns m as a record under the contract's topic name. The record shares m's slices. Headers keep their order and
// their repetitions; the caller decides what a header given twice means.
func FromSarama(m *sarama.ConsumerMessage, topicPrefix string) messages.Record {
	r := messages.Record{
		Topic:     strings.TrimPrefix(m.Topic, topicPrefix),
		Partition: m.Partition,
		Offset:    m.Offset,
		Key:       m.Key,
		Value:     m.Value,
		Time:      m.Timestamp,
	}
	for _, h := range m.Headers {
		if h != nil {
			r.Headers = append(r.Headers, messages.Header{Key: string(h.Key), Value: h.Value})
		}
	}
	return r
}
