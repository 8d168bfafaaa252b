package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
)

const (
	// outboxTopic is the table, one in each service's schema, that the Forwarder reads.
	outboxTopic = "outbox"
	// pollInterval is the pause between two polls of an empty table. watermill's default of a second would
	// delay every order, and make the comparison unfair.
	pollInterval = 10 * time.Millisecond
)

// service is the state that all handlers of a service share.
type service struct {
	name  string
	cfg   config
	pool  *pgxpool.Pool
	kafka message.Publisher
	log   watermill.LoggerAdapter
}

// handler handles one message, of any event of its topic. An error leaves the message unacknowledged.
type handler func(ctx context.Context, m messages.Message) error

// consume adds a handler for a topic to the router and returns its consumer group. An unknown event is
// acknowledged.
func (s *service) consume(router *message.Router, topic string, handle handler) (group string, err error) {
	group = s.cfg.GroupPrefix + s.name + "." + topic
	subscriber, err := newSubscriber(s.cfg, group, s.log)
	if err != nil {
		return "", err
	}
	router.AddConsumerHandler(s.name+"."+topic, s.cfg.TopicPrefix+topic, subscriber, func(msg *message.Message) error {
		m, err := decode(topic, msg)
		// Topics may carry events of later versions; this service has no use for them.
		if errors.Is(err, messages.ErrUnknownEvent) {
			return nil
		}
		if err != nil {
			return err
		}
		return handle(msg.Context(), m)
	})
	return group, nil
}

// change changes the service's state for one event, within tx, and returns the messages to publish.
type change[E messages.Event] func(ctx context.Context, tx pgx.Tx, e E, m messages.Message) ([]messages.Message, error)

// on makes a handler of a change: one message, one transaction. Other events of the topic are acknowledged
// without a transaction.
func on[E messages.Event](s *service, change change[E]) handler {
	return func(ctx context.Context, m messages.Message) error {
		e, ok := m.Event.(E)
		if !ok {
			return nil
		}
		return s.transact(ctx, func(tx pgx.Tx) ([]messages.Message, error) { return change(ctx, tx, e, m) })
	}
}

// transact runs work in a transaction and stores its messages for the Forwarder in the same one: both are
// committed, or neither.
func (s *service) transact(ctx context.Context, work func(tx pgx.Tx) ([]messages.Message, error)) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		out, err := work(tx)
		if err != nil || len(out) == 0 {
			return err
		}
		inTx, err := sql.NewPublisher(sql.TxFromPgx(tx), sql.PublisherConfig{SchemaAdapter: sql.DefaultPostgreSQLSchema{}}, s.log)
		if err != nil {
			return err
		}
		to := forwarder.NewPublisher(inTx, forwarder.PublisherConfig{ForwarderTopic: outboxTopic})
		for _, m := range out {
			m.Source = s.name
			msg, err := encode(m)
			if err != nil {
				return err
			}
			msg.SetContext(ctx)
			if err := to.Publish(s.cfg.TopicPrefix+m.Event.Topic(), msg); err != nil {
				return fmt.Errorf("publish %s: %w", m.Event.EventName(), err)
			}
		}
		return nil
	})
}

// forward adds the Forwarder to the router. It publishes the committed messages of transact, at least once.
func (s *service) forward(router *message.Router) error {
	subscriber, err := sql.NewSubscriber(sql.BeginnerFromPgx(s.pool), sql.SubscriberConfig{
		SchemaAdapter:    sql.DefaultPostgreSQLSchema{},
		OffsetsAdapter:   sql.DefaultPostgreSQLOffsetsAdapter{},
		InitializeSchema: true,
		PollInterval:     pollInterval,
	}, s.log)
	if err != nil {
		return fmt.Errorf("open the subscriber of the outbox: %w", err)
	}
	// The tables are made now, since requests may arrive before the router runs.
	if err := subscriber.SubscribeInitialize(outboxTopic); err != nil {
		return fmt.Errorf("make the tables of the outbox: %w", err)
	}
	_, err = forwarder.NewForwarder(subscriber, s.kafka, s.log, forwarder.Config{
		ForwarderTopic: outboxTopic, HandlerName: s.name + ".forwarder", Router: router,
	})
	if err != nil {
		return fmt.Errorf("make the forwarder: %w", err)
	}
	return nil
}
