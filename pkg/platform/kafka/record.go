package kafka

import (
	"strings"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/messages"
)

// ToSarama returns r under the broker's topic name, with its bytes, key and headers unchanged.
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

// FromSarama returns m as a record under the contract's topic name.
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
