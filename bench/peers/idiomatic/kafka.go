package main

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"pasdetrois/pkg/messages"
)

const clientID = "peers-idiomatic"

// keyHeader is the header with the order id. The record's key, and so its partition, is made of it.
const keyHeader = "ce_subject"

func marshaler() kafka.MarshalerUnmarshaler {
	return kafka.NewWithPartitioningMarshaler(func(_ string, msg *message.Message) (string, error) {
		return msg.Metadata.Get(keyHeader), nil
	})
}

// newPublisher makes a publisher whose messages are on every in-sync replica, once and in order, when Publish
// returns.
func newPublisher(cfg config, log watermill.LoggerAdapter) (*kafka.Publisher, error) {
	c := kafka.DefaultSaramaSyncPublisherConfig()
	c.ClientID = clientID
	c.Version = sarama.V2_8_0_0
	c.Metadata.AllowAutoTopicCreation = false
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1 // sarama requires this of an idempotent producer
	// This is the hash of the Java and Python clients: all producers put an order's messages into the same
	// partition.
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	publisher, err := kafka.NewPublisher(kafka.PublisherConfig{
		Brokers: cfg.Brokers, Marshaler: marshaler(), OverwriteSaramaConfig: c,
	}, log)
	if err != nil {
		return nil, fmt.Errorf("open a publisher at %v: %w", cfg.Brokers, err)
	}
	return publisher, nil
}

// newSubscriber makes a subscriber of one consumer group, which reads committed records from the oldest on.
func newSubscriber(cfg config, group string, log watermill.LoggerAdapter) (*kafka.Subscriber, error) {
	c := kafka.DefaultSaramaSubscriberConfig()
	c.ClientID = clientID
	c.Version = sarama.V2_8_0_0
	c.Metadata.AllowAutoTopicCreation = false
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	// sarama abandons the subscription of a slower handler and makes it again. The default of 100 ms is less
	// than one round of retries.
	c.Consumer.MaxProcessingTime = time.Minute
	subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: cfg.Brokers, Unmarshaler: marshaler(), OverwriteSaramaConfig: c, ConsumerGroup: group,
	}, log)
	if err != nil {
		return nil, fmt.Errorf("open a subscriber of %s: %w", group, err)
	}
	return subscriber, nil
}

// encode makes a watermill message of a message of the contract. Headers become metadata.
func encode(m messages.Message) (*message.Message, error) {
	record, err := m.Record()
	if err != nil {
		return nil, err
	}
	msg := message.NewMessage(m.ID, record.Value)
	for _, h := range record.Headers {
		msg.Metadata.Set(h.Key, string(h.Value))
	}
	return msg, nil
}

// decode reads records of encode and of plain producers, which may have no id. topic is the contract's name.
func decode(topic string, msg *message.Message) (messages.Message, error) {
	if msg.UUID == "" {
		msg.UUID = uuid.NewString()
	}
	record := messages.Record{Topic: topic, Value: msg.Payload, Time: time.Now(), Headers: make([]messages.Header, 0, len(msg.Metadata))}
	for key, value := range msg.Metadata {
		record.Headers = append(record.Headers, messages.Header{Key: key, Value: []byte(value)})
	}
	return messages.Decode(record)
}
