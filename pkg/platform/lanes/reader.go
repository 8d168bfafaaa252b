package lanes

import (
	"context"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/wait"
)

// Config says which Kafka is read, and for which service.
type Config struct {
	Kafka   kafka.Config
	Service string
	Replica string // names this process among those of the service; "" = nobody can take over from it
	Log     *slog.Logger
	Missed  *prometheus.CounterVec // records that were deleted before they were read, by topic
	Joins   *prometheus.CounterVec // sessions of a group, by topic
}

// New makes the claims of a service. It holds none until a Subscriber is subscribed.
func New(cfg Config) *Claims {
	boundInflating()
	c := newClaims(cfg.Kafka.TopicPrefix, newGate(), newFailures())
	c.cfg, c.service, c.replica, c.log, c.joins = cfg.Kafka, cfg.Service, cfg.Replica, cfg.Log, cfg.Joins
	c.Notices = &Notices{}
	c.opener = &opener{cfg: cfg.Kafka, service: cfg.Service, log: cfg.Log, unread: cfg.Missed, notices: c.Notices, sessions: c.Sessions}
	return c
}

// Subscriber makes the subscriber of one topic. Its connections end with lines.
func (c *Claims) Subscriber(lines context.Context, topic string) (message.Subscriber, error) {
	sc := consumerConfig(lines, kafka.MemberID(c.service, c.replica))
	sc.Consumer.Retry.BackoffFunc = func(failed int) time.Duration {
		c.fetchFailed(c.cfg.TopicPrefix + topic)
		return wait.Backoff(failed, kafka.RetryPause, lastFetchRetry)
	}
	if err := c.cfg.Secure(sc); err != nil {
		return nil, err
	}
	return wkafka.NewSubscriber(wkafka.SubscriberConfig{
		Brokers:               c.cfg.Brokers,
		Unmarshaler:           c,
		OverwriteSaramaConfig: sc,
		ConsumerGroup:         c.cfg.Group(c.service, topic),
		Tracer:                countedJoins{c, c.joins.WithLabelValues(topic)},
	}, WatermillLogger(c.log))
}

// Patiently makes a subscriber that subscribes until it succeeds or stop ends.
func (c *Claims) Patiently(stop context.Context, s message.Subscriber) message.Subscriber {
	return patient{Subscriber: s, stop: stop, log: c.log, cfg: c.cfg}
}

// InWork returns the number of records in work: admitted and not yet marked.
func (c *Claims) InWork() int { return c.gate.inside() }

// Draining reports whether the drain has begun: no record is admitted any more.
func (c *Claims) Draining() bool { return c.gate.isClosed() }

// Drain admits no more records and waits until none is in work. It returns an error when ctx ends first. Call it once
// before Open.
func (c *Claims) Drain(ctx context.Context) error { return c.gate.drain(ctx) }

// Open undoes Drain.
func (c *Claims) Open() { c.gate.open() }

// HeldUp records that err holds up the lane's record, and reports whether no other lane is held up.
func (c *Claims) HeldUp(cl *Lane, r messages.Record, err error) (only bool) {
	return c.failing.set(cl, r, err)
}

// Freed records that the lane is not held up any more.
func (c *Claims) Freed(cl *Lane) { c.failing.clear(cl) }

// Failure returns what holds lanes up, nil when none is.
func (c *Claims) Failure() error { return c.failing.check() }

// Diverted names the partitions that are read around a batch, "" when there are none, and says why one cannot be read.
func (c *Claims) Diverted() (remark string, err error) { return c.detours.remark(), c.detours.check() }

// countedJoins counts the sessions of one topic's consumer group. A member without partitions has sessions too.
type countedJoins struct {
	*Claims
	joins prometheus.Counter
}

func (c countedJoins) WrapConsumerGroupHandler(next sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	return &joinHandler{c.Claims.WrapConsumerGroupHandler(next), c.joins}
}

type joinHandler struct {
	sarama.ConsumerGroupHandler
	joins prometheus.Counter
}

// Setup runs once in each session.
func (h *joinHandler) Setup(session sarama.ConsumerGroupSession) error {
	h.joins.Inc()
	return h.ConsumerGroupHandler.Setup(session)
}

// patient subscribes until it succeeds, because a router that could not subscribe once cannot be started again. When stop
// ends first, it returns a closed channel: no messages, and no error.
type patient struct {
	message.Subscriber
	stop context.Context
	log  *slog.Logger
	cfg  kafka.Config
}

func (p patient) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	for attempt := 1; ; attempt++ {
		received, err := p.Subscriber.Subscribe(ctx, topic)
		if err == nil {
			return received, nil
		}
		if p.stop.Err() == nil {
			p.log.Warn("could not subscribe, trying again", "topic", topic, "attempt", attempt, "err", p.cfg.Explain(err))
		}
		if !wait.Sleep(p.stop, wait.Backoff(attempt, time.Second, 5*time.Second)) {
			none := make(chan *message.Message)
			close(none)
			return none, nil
		}
	}
}
