package lanes

import (
	"context"
	"log/slog"
	"time"

	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
)

// lanesConfig says which Kafka is read, for which service.
type Config struct {
	Kafka   kafka.Config
	Service string
	Replica string // names this process among those of the service; "" = nobody can take over from it
	Log     *slog.Logger
	Missed  *prometheus.CounterVec // records that were deleted before they were read, by topic
	Joins   *prometheus.CounterVec // sessions of a group, by topic
}

// newReader makes the claims of a service.
func New(cfg Config) *Claims {
	boundInflating()
	c := newClaims(cfg.Kafka.TopicPrefix, newGate(), newFailures())
	c.cfg, c.service, c.replica, c.log, c.joins = cfg.Kafka, cfg.Service, cfg.Replica, cfg.Log, cfg.Joins
	c.Notices = &Notices{}
	c.opener = &opener{cfg: cfg.Kafka, service: cfg.Service, log: cfg.Log, unread: cfg.Missed, notices: c.Notices, sessions: c.Sessions}
	return c
}

// subscriber makes what reads one topic; its connections are cut when lines ends.
func (c *Claims) Subscriber(lines context.Context, topic string) (message.Subscriber, error) {
	sc := consumerConfig(lines, kafka.MemberID(c.service, c.replica))
	sc.Consumer.Retry.BackoffFunc = func(failed int) time.Duration {
		c.fetchFailed(c.cfg.TopicPrefix + topic)
		return kafka.Backoff(failed, kafka.RetryPause, lastFetchRetry)
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

// patiently makes a subscriber that subscribes as often as it takes, until stop ends.
func (c *Claims) Patiently(stop context.Context, s message.Subscriber) message.Subscriber {
	return patient{Subscriber: s, stop: stop, log: c.log, cfg: c.cfg}
}

// inWork returns how many messages are in work just now: admitted and not yet acknowledged.
func (c *Claims) InWork() int { return c.gate.inside() }

// draining reports whether no message is admitted any more.
func (c *Claims) Draining() bool { return c.gate.isClosed() }

// drain admits no message any more and waits until none is in work or ctx ends, which is an error. Call it once before open.
func (c *Claims) Drain(ctx context.Context) error { return c.gate.drain(ctx) }

// open undoes drain.
func (c *Claims) Open() { c.gate.open() }

// heldUp notes that the lane's record is held up by err, and reports whether it is the only one: an outage holds up many,
// and one line of the log says it.
func (c *Claims) HeldUp(cl *Lane, r messages.Record, err error) (only bool) {
	return c.failing.set(cl, r, err)
}

// freed notes that nothing holds the lane up.
func (c *Claims) Freed(cl *Lane) { c.failing.clear(cl) }

// failure returns what holds lanes up, nil when nothing does.
func (c *Claims) Failure() error { return c.failing.check() }

// diverted says which partitions are read batch by batch, "" when none is, and why one of them is not read.
func (c *Claims) Diverted() (remark string, err error) { return c.detours.remark(), c.detours.check() }
