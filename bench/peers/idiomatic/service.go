package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
)

// outboxTopic is the table, one in each service's schema, that the Forwarder reads.
const outboxTopic = "outbox"

// service is what the handlers of one service share.
type service struct {
	name  string
	cfg   config
	pool  *pgxpool.Pool
	kafka message.Publisher
	log   watermill.LoggerAdapter
}

// handler handles one message, of any event of its topic.
type handler func(ctx context.Context, m messages.Message) error

// consume adds a handler for a topic to the router and returns its consumer group.
func (s *service) consume(router *message.Router, topic string, handle handler) (group string, err error) {
	group = s.cfg.groupPrefix + s.name + "." + topic
	subscriber, err := newSubscriber(s.cfg, group, s.log)
	if err != nil {
		return "", err
	}
	router.AddConsumerHandler(s.name+"."+topic, s.cfg.topicPrefix+topic, subscriber, func(msg *message.Message) error {
		m, err := decode(topic, msg)
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

// change changes the service's state for one event, within tx, and returns what is to be published.
type change[E messages.Event] func(ctx context.Context, tx pgx.Tx, e E, m messages.Message) ([]messages.Message, error)

// on makes a handler of a change: one message, one transaction. Other events of the topic are none of its business.
func on[E messages.Event](s *service, change change[E]) handler {
	return func(ctx context.Context, m messages.Message) error {
		e, ok := m.Event.(E)
		if !ok {
			return nil
		}
		if s.cfg.outputs == outputsForwarder {
			return s.transact(ctx, func(tx pgx.Tx) ([]messages.Message, error) { return change(ctx, tx, e, m) })
		}
		var out []messages.Message
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
			out, err = change(ctx, tx, e, m)
			return err
		})
		if err != nil {
			return err
		}
		return s.publish(ctx, s.kafka, out)
	}
}

// transact runs work in a transaction and commits what it returns, for the Forwarder, with it.
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
		return s.publish(ctx, forwarder.NewPublisher(inTx, forwarder.PublisherConfig{ForwarderTopic: outboxTopic}), out)
	})
}

func (s *service) publish(ctx context.Context, to message.Publisher, out []messages.Message) error {
	for _, m := range out {
		m.Source = s.name
		msg, err := encode(m)
		if err != nil {
			return err
		}
		msg.SetContext(ctx)
		if err := to.Publish(s.cfg.topicPrefix+m.Event.Topic(), msg); err != nil {
			return fmt.Errorf("publish %s: %w", m.Event.EventName(), err)
		}
	}
	return nil
}

// again returns what a message led to when it was handled before. A crash between commit and publish may have lost
// that, unless it was committed together.
func (s *service) again(out ...messages.Message) []messages.Message {
	if s.cfg.outputs == outputsForwarder {
		return nil
	}
	return out
}

// forward adds the Forwarder to the router: it takes what transact committed to Kafka.
func (s *service) forward(router *message.Router) error {
	subscriber, err := sql.NewSubscriber(sql.BeginnerFromPgx(s.pool), sql.SubscriberConfig{
		SchemaAdapter:    sql.DefaultPostgreSQLSchema{},
		OffsetsAdapter:   sql.DefaultPostgreSQLOffsetsAdapter{},
		InitializeSchema: true,
		PollInterval:     s.cfg.pollInterval,
	}, s.log)
	if err != nil {
		return fmt.Errorf("open the subscriber of the outbox: %w", err)
	}
	// Requests may come in before the router runs.
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
