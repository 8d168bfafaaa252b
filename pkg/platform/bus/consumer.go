package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/lanes"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/pkg/platform/wait"
)

// Parker stores records that can never succeed. deadletter.Store is one.
type Parker interface {
	// Park stores r with a reason (a code), a detail (for people) and a panic's stack or "". Parking the same record
	// again changes nothing, because a crash after Park and before the acknowledgement redelivers the record.
	Park(ctx context.Context, r messages.Record, reason, detail, stack string) error
}

// ConsumerConfig configures a Consumer.
type ConsumerConfig struct {
	kafka.Config
	Service   string // consumer groups are <prefix><service>.<topic>
	Replica   string // names this process among those of the service; "" = nobody can take over from it
	Table     Table
	Publisher Publisher
	Parker    Parker
	Trusted   *signing.Keys   // nil: events that move money need no signature
	Signer    *signing.Signer // signs what a batch publishes; nil: nothing is signed
	// Map replaces a decoded message and its record before a use case gets them, as for erased users; nil = none is replaced. Its
	// error is that of the record.
	Map           func(messages.Message, messages.Record) (messages.Message, messages.Record, error)
	Log           *slog.Logger
	Metrics       prometheus.Registerer
	Tracer        *tracing.Tracer
	HandleTimeout time.Duration // one attempt; 0 = 30 s
	DrainTimeout  time.Duration // how long messages in work may take to finish at shutdown; 0 = 10 s

	askEvery time.Duration // between two rounds of the monitor; 0 = 5 s
}

// leaveTimeout bounds the leaving of the groups, once the drain is over and handlers are cancelled. A member that does not leave
// is removed by Kafka when its session times out.
const leaveTimeout = 5 * time.Second

// Consumer runs one watermill router over the service's topics. Run is called once; all other methods are safe for concurrent
// use, before, during and after Run.
type Consumer struct {
	cfg     ConsumerConfig
	log     *slog.Logger
	topics  []string // the topics that the service reads
	claims  *lanes.Claims
	monitor *monitor
	metrics *metrics
	pauses  *pauses
	joined  atomic.Bool // subscribed to all topics at least once; it stays true during a pause
	// subscriber makes the reader of one topic. Its connections are closed when lines ends.
	subscriber func(lines context.Context, topic string) (message.Subscriber, error)
	*dispatcher
}

// NewConsumer makes a consumer and registers its metrics; Run connects it. It returns an error for a wrong configuration, for a
// table without routes, and for an event with two routes.
func NewConsumer(cfg ConsumerConfig) (*Consumer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.HandleTimeout == 0 {
		cfg.HandleTimeout = 30 * time.Second
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = 10 * time.Second
	}
	m := newMetrics(cfg.Metrics, eventsOf(cfg.Table))
	d, err := newDispatcher(cfg.Service, cfg.Table, cfg.Publisher, cfg.Log, m, cfg.HandleTimeout)
	if err != nil {
		return nil, err
	}
	d.tracer, d.cfg, d.replica, d.trusted, d.signer = cfg.Tracer, cfg.Config, cfg.Replica, cfg.Trusted, cfg.Signer
	d.mapped = cfg.Map
	reader := lanes.New(lanes.Config{Kafka: cfg.Config, Service: cfg.Service, Replica: cfg.Replica, Log: cfg.Log, Missed: m.missed, Joins: m.joins})
	topics := cfg.Table.topics()
	c := &Consumer{
		cfg: cfg, log: cfg.Log, topics: topics, claims: reader, metrics: m, dispatcher: d,
	}
	c.monitor = newMonitor(cfg.Config, cfg.Service, topics, m, cfg.Log, reader.Sessions, reader.Notices)
	if cfg.askEvery > 0 {
		c.monitor.every, c.monitor.patience = cfg.askEvery, 2*cfg.askEvery
	}
	for _, topic := range topics {
		m.missed.WithLabelValues(topic) // a series that begins at 0 shows its first event as an increase
		m.removed.WithLabelValues(topic)
	}
	c.monitor.stands = c.claims.Stands
	c.subscriber = reader.Subscriber
	c.pauses = newPauses()
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(pausedGauge(c.pauses))
	}
	return c, nil
}

// Run waits for Kafka and for all topics that the service reads or writes, then consumes until ctx ends. At the end it admits
// no more records, waits for those in work, marks their acknowledgements and leaves the groups. It returns an error when
// consuming ends before ctx does, and nil when ctx ends while it still waits for Kafka.
//
// The monitor outlives the consuming, because the drain needs its rounds as well.
func (c *Consumer) Run(ctx context.Context) error {
	if err := c.waitForTopics(ctx); err != nil {
		return nil // ctx ended during the wait
	}
	monitorCtx, stopMonitor := context.WithCancel(context.WithoutCancel(ctx))
	monitored := make(chan struct{})
	go func() {
		defer close(monitored)
		c.monitor.run(monitorCtx)
	}()
	defer func() {
		stopMonitor()
		<-monitored
	}()
	defer c.dispatcher.close()
	return c.takeTurns(ctx)
}

// waitForTopics asks Kafka until it answers and all topics exist and are allowed, or until ctx ends. The service runs meanwhile
// and is not ready. A remark, such as too few partitions, does not hold it up.
func (c *Consumer) waitForTopics(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := c.monitor.askOnce(ctx)
		if err == nil {
			if err := c.Topics(ctx); err != nil {
				c.log.Warn("consuming begins; Kafka is not as expected", "err", err)
			}
			return nil
		}
		c.monitor.report(err)
		if attempt == 1 || attempt%10 == 0 {
			c.log.Warn("waiting for kafka to consume", "attempt", attempt, "err", err)
		}
		if !wait.Sleep(ctx, wait.Backoff(attempt, 250*time.Millisecond, 3*time.Second)) {
			return ctx.Err()
		}
	}
}

// consume joins the groups and consumes until ctx ends, which is a pause or the end of the service:
//
//	subscribe --> running --ctx ends--> drain, DrainTimeout at most --> router closed: groups left, leaveTimeout at most
//
// Three contexts end one after the other. ctx begins the drain. The router's context cancels handlers that are still at work.
// The lines' context closes the connections, so a broker that hangs delays the end no further. Records that were not
// acknowledged by then are redelivered to the next owner.
func (c *Consumer) consume(ctx context.Context) error {
	wlog := lanes.WatermillLogger(c.log)
	// The connections outlive ctx by the drain, and no longer: a broker that hangs must not delay the end.
	linesCtx, cutLines := context.WithCancel(context.WithoutCancel(ctx))
	defer cutLines()
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: leaveTimeout}, wlog)
	if err != nil {
		return fmt.Errorf("make router: %w", err)
	}
	router.AddMiddleware(c.chain()...)
	for _, topic := range c.topics {
		subscriber, err := c.subscriber(linesCtx, topic)
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", topic, err)
		}
		router.AddConsumerHandler(c.cfg.Service+"."+topic, c.cfg.TopicPrefix+topic,
			c.claims.Patiently(linesCtx, subscriber), c.handleMessage)
	}

	// The router outlives ctx: the end of its context cancels the messages in work.
	routerCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- router.Run(routerCtx) }()
	started := context.AfterFunc(ctx, cutLines)
	select {
	case err := <-ended:
		return fmt.Errorf("start consuming: %w", err)
	case <-router.Running():
		started()
		c.joined.Store(true)
		c.pauses.consuming()
	}
	c.log.Info("consuming", "topic", c.topics)

	select {
	case err := <-ended:
		if ctx.Err() == nil {
			err = fmt.Errorf("consuming ended by itself: %w", errors.Join(err, errors.New("all handlers stopped")))
		}
		return err
	case <-ctx.Done():
	}
	drainCtx, stop := context.WithTimeout(context.Background(), c.cfg.DrainTimeout)
	defer stop()
	if err := c.claims.Drain(drainCtx); err != nil {
		c.log.Warn("messages still in work at the end of the drain will be redelivered", "err", err)
	}
	if err := router.Close(); err != nil {
		c.log.Warn("the consumer groups were not left in time: records that were not committed will be redelivered", "err", err)
	}
	return <-ended
}

// handleMessage is the innermost handler. A record whose batch could not be read returns that error, and is parked by its kind.
func (c *Consumer) handleMessage(msg *message.Message) error {
	cl := c.claims.Of(msg)
	if err := cl.Readable(); err != nil {
		return err
	}
	r, _ := cl.Read()
	_, err := c.dispatch(msg.Context(), r, cl.SetEvent, inBatch(cl))
	return err
}

// Handle runs the use case of one record outside of the stream, and publishes the results. A replay of a dead letter calls it. It
// neither retries nor parks: the caller decides by the error, which for a panic has the stack in its text.
func (c *Consumer) Handle(ctx context.Context, r messages.Record) error {
	msg := message.NewMessage("", nil)
	msg.SetContext(ctx)
	_, err := recovering(func(msg *message.Message) ([]*message.Message, error) {
		_, err := c.dispatch(msg.Context(), r, func(string) {}, single)
		return nil, err
	})(msg)
	var p *panicError
	if errors.As(err, &p) {
		return fmt.Errorf("%w\n%s", err, p.stack)
	}
	return err
}

// InWork returns the number of messages in work: admitted and not yet acknowledged.
func (c *Consumer) InWork() int { return c.claims.InWork() }

// Draining reports whether the consumer admits no more messages.
func (c *Consumer) Draining() bool { return c.claims.Draining() }

// Topics is a readiness check that always passes. A *Remark names the differences between the topics and the contract.
func (c *Consumer) Topics(context.Context) error {
	remarks := c.monitor.remarks()
	if detours, _ := c.claims.Diverted(); detours != "" {
		return remarkOf(remarks, detours)
	}
	return remarks
}

// Check is the readiness check: nil while Kafka answers, the topics exist and are subscribed to, and no lane is held up. It
// sends no request: the monitor keeps the state up to date. A paused service is ready: it still answers requests, and without
// them a pause would be an outage.
func (c *Consumer) Check(context.Context) error {
	_, unread := c.claims.Diverted()
	if err := errors.Join(c.monitor.check(), unread); err != nil {
		return errors.Join(err, c.claims.Failure())
	}
	if !c.joined.Load() && !c.pauses.paused() {
		return errors.New("kafka: not subscribed yet")
	}
	return c.claims.Failure()
}
