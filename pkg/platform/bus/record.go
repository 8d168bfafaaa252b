package bus

import (
	"context"
	"strings"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"pasdetrois/pkg/messages"
)

type recordKey struct{}

// newOutgoing wraps r in a watermill message. The record travels in the context, so that its bytes, key and headers
// reach Kafka as they are.
func newOutgoing(r messages.Record) *message.Message {
	m := message.NewMessage(watermill.NewShortUUID(), nil)
	m.SetContext(context.WithValue(context.Background(), recordKey{}, r))
	return m
}

// recordMarshaler writes a Record as it is: keyed, and without headers of watermill's own.
type recordMarshaler struct{}

func (recordMarshaler) Marshal(topic string, msg *message.Message) (*sarama.ProducerMessage, error) {
	r, _ := msg.Context().Value(recordKey{}).(messages.Record)
	out := &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(r.Value), Timestamp: r.Time}
	if len(r.Key) > 0 {
		out.Key = sarama.ByteEncoder(r.Key)
	}
	for _, h := range r.Headers {
		out.Headers = append(out.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
	}
	return out, nil
}

// fromSarama copies what was read, under the contract's topic name.
func fromSarama(m *sarama.ConsumerMessage, topicPrefix string) messages.Record {
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
