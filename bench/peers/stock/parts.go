package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	keyHeader    = "key"
	outboxTopic  = "outbox"
	pollInterval = 10 * time.Millisecond // between polls of an empty table; watermill's default is a second
	payload      = 300                   // bytes, as in the product's own measurements
	inOneInsert  = 500                   // messages in a transaction; filling the table is not measured
)

// quiet is a log that costs nothing: a log line for each message would be measured, too.
func quiet() watermill.LoggerAdapter {
	return watermill.NewSlogLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// marshaler takes the key of a record from a header, so that the key decides the partition, as in the product.
func marshaler() kafka.MarshalerUnmarshaler {
	return kafka.NewWithPartitioningMarshaler(func(_ string, msg *message.Message) (string, error) {
		return msg.Metadata.Get(keyHeader), nil
	})
}

// counting is a publisher that counts the messages that all in-sync replicas have acknowledged.
type counting struct {
	message.Publisher
	*counter
}

// Publish counts after the acknowledgement, so that the last message is in Kafka when the clock stops.
func (c counting) Publish(topic string, msgs ...*message.Message) error {
	if err := c.Publisher.Publish(topic, msgs...); err != nil {
		return err
	}
	for range msgs {
		c.count()
	}
	return nil
}

// forward fills a table and measures how the Forwarder empties it. The producer waits for all in-sync replicas,
// as the product's does. The tables are filled before the Forwarder starts, so only the forwarding is measured.
func forward(ctx context.Context, cfg config) (result, error) {
	log := quiet()
	c := kafka.DefaultSaramaSyncPublisherConfig()
	c.Version = sarama.V2_8_0_0
	// The same guarantees as the product's producer: every in-sync replica, no duplicates. watermill's default
	// is acks=1.
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	toKafka, err := kafka.NewPublisher(kafka.PublisherConfig{Brokers: cfg.Brokers, Marshaler: marshaler(), OverwriteSaramaConfig: c}, log)
	if err != nil {
		return result{}, fmt.Errorf("open a publisher: %w", err)
	}
	defer toKafka.Close()
	pool, err := pgxpool.New(ctx, cfg.DatabaseURL)
	if err != nil {
		return result{}, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer pool.Close()
	subscriber, err := sql.NewSubscriber(sql.BeginnerFromPgx(pool), sql.SubscriberConfig{
		SchemaAdapter:    sql.DefaultPostgreSQLSchema{},
		OffsetsAdapter:   sql.DefaultPostgreSQLOffsetsAdapter{},
		InitializeSchema: true,
		PollInterval:     pollInterval,
	}, log)
	if err != nil {
		return result{}, fmt.Errorf("open the subscriber of the table: %w", err)
	}
	// The tables must exist before fill writes to them.
	if err := subscriber.SubscribeInitialize(outboxTopic); err != nil {
		return result{}, fmt.Errorf("make the tables: %w", err)
	}
	if err := fill(ctx, pool, cfg, log); err != nil {
		return result{}, err
	}
	router, err := message.NewRouter(message.RouterConfig{}, log)
	if err != nil {
		return result{}, fmt.Errorf("make the router: %w", err)
	}
	done := newCounter(cfg.Messages)
	if _, err := forwarder.NewForwarder(subscriber, counting{toKafka, done}, log,
		forwarder.Config{ForwarderTopic: outboxTopic, Router: router}); err != nil {
		return result{}, fmt.Errorf("make the forwarder: %w", err)
	}
	return until(ctx, router, done)
}

// fill commits the messages as an application does, but many in a transaction.
func fill(ctx context.Context, pool *pgxpool.Pool, cfg config, log watermill.LoggerAdapter) error {
	content := []byte(`{"x":"` + strings.Repeat("x", payload) + `"}`)
	for from := 0; from < cfg.Messages; from += inOneInsert {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			inTx, err := sql.NewPublisher(sql.TxFromPgx(tx), sql.PublisherConfig{SchemaAdapter: sql.DefaultPostgreSQLSchema{}}, log)
			if err != nil {
				return err
			}
			var all []*message.Message
			for i := from; i < min(from+inOneInsert, cfg.Messages); i++ {
				msg := message.NewMessage(watermill.NewUUID(), content)
				msg.Metadata.Set(keyHeader, fmt.Sprintf("key-%d", i))
				all = append(all, msg)
			}
			return forwarder.NewPublisher(inTx, forwarder.PublisherConfig{ForwarderTopic: outboxTopic}).Publish(cfg.Topic, all...)
		})
		if err != nil {
			return fmt.Errorf("fill the table: %w", err)
		}
	}
	// Fresh statistics, as in the measurements of the product.
	_, err := pool.Exec(ctx, "ANALYZE")
	return err
}

// consume measures a handler that takes cfg.Work for each message. The subscriber has watermill's defaults,
// except those that correctness needs: read committed records, from the start, with patience for the handler.
func consume(ctx context.Context, cfg config) (result, error) {
	log := quiet()
	c := kafka.DefaultSaramaSubscriberConfig()
	c.Version = sarama.V2_8_0_0
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	// sarama abandons a slower handler; its default of 100 ms would be reached by a short pause of the machine.
	c.Consumer.MaxProcessingTime = time.Minute
	subscriber, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: cfg.Brokers, Unmarshaler: marshaler(), OverwriteSaramaConfig: c, ConsumerGroup: cfg.Group,
	}, log)
	if err != nil {
		return result{}, fmt.Errorf("open a subscriber: %w", err)
	}
	router, err := message.NewRouter(message.RouterConfig{}, log)
	if err != nil {
		return result{}, fmt.Errorf("make the router: %w", err)
	}
	done := newCounter(cfg.Messages)
	router.AddConsumerHandler("work", cfg.Topic, subscriber, func(*message.Message) error {
		time.Sleep(cfg.Work)
		done.count()
		return nil
	})
	return until(ctx, router, done)
}

// until runs the router until all messages are finished, and closes it. One message fewer is reported, since
// the time begins with the first finished one.
func until(ctx context.Context, router *message.Router, done *counter) (result, error) {
	ended := make(chan error, 1)
	// The router cancels running handlers when its context ends; Close lets them finish.
	go func() { ended <- router.Run(context.WithoutCancel(ctx)) }()
	var err error
	select {
	case <-done.done:
	case <-ctx.Done():
		err = ctx.Err()
	case err = <-ended:
		return result{}, fmt.Errorf("ended by itself: %w", err)
	}
	err = errors.Join(err, router.Close(), <-ended)
	return result{Messages: done.n - 1, Seconds: done.last.Sub(done.first).Seconds()}, err
}
