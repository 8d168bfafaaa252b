// Package parts measures parts of the system alone: the product's relay and consumer, and the limits below
// them. The limits are Postgres, Kafka and HTTP without the product. No system on these servers is faster than
// the limits.
//
// The parts run in the process of the benchmark, with the garbage collector set as in the services. The load
// generator does nothing meanwhile.
package parts

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/run"
)

// patience bounds the time of a part for all of its messages.
const patience = 3 * time.Minute

// counter records when the first and the last of n messages were finished. Its methods may be called
// concurrently.
type counter struct {
	mu          sync.Mutex
	n, left     int
	first, last time.Time
	done        chan struct{}
}

func newCounter(n int) *counter { return &counter{n: n, left: n, done: make(chan struct{})} }

// count adds finished messages. Messages beyond n, such as redelivered ones, do not count.
func (c *counter) count(more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left <= 0 || more == 0 {
		return
	}
	c.last = time.Now()
	if c.left == c.n {
		c.first = c.last
	}
	if c.left -= more; c.left <= 0 {
		close(c.done)
	}
}

// await waits for all messages and returns the rate per second between the first and the last one. The first is
// not counted: its time includes connecting and the first rebalance.
func (c *counter) await(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-c.done:
		return float64(c.n-1) / c.last.Sub(c.first).Seconds(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("not all of %d messages were finished: %w", c.n, context.Cause(ctx))
	}
}

// collectAsShipped sets the garbage collector as the services do, until restore is called: with another setting
// the part would have another speed than in the product.
func collectAsShipped() (restore func()) {
	percent := debug.SetGCPercent(run.GCPercent)
	return func() { debug.SetGCPercent(percent) }
}

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// Plain is the content of an order without items, for Fill.
func Plain(int) string { return `"total":49.99` }

// Fill writes n orders to a topic and returns when Kafka has acknowledged all. content returns the fields of
// the nth order beside its ids. Each order has a key of its own, so they spread over all partitions.
func Fill(ctx context.Context, brokers []string, topic string, n int, content func(n int) string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MaxBufferedRecords(50_000))
	if err != nil {
		return fmt.Errorf("fill topic %s: %w", topic, err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for i := range n {
		value := fmt.Appendf(nil, `{"order_id":"waiting-%d","user_id":"u-%d",%s}`, i, i, content(i))
		// The first failed record ends the filling; Flush then returns.
		client.Produce(ctx, &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "waiting-%d", i), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				cancel(err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil || ctx.Err() != nil {
		return fmt.Errorf("fill topic %s: %w", topic, context.Cause(ctx))
	}
	return nil
}

// Consume measures the number of messages per second that the bus gives to a handler. Each call takes work, as
// a transaction does, for a whole batch. n messages wait in the topic of orders.
func Consume(ctx context.Context, brokers []string, prefix string, n int, work time.Duration) (float64, error) {
	defer collectAsShipped()()
	cfg := kafka.Config{Brokers: brokers, TopicPrefix: prefix, GroupPrefix: prefix}
	producer, err := bus.NewProducer(bus.ProducerConfig{Config: cfg, Service: "orders", Log: silent()})
	if err != nil {
		return 0, err
	}
	defer producer.Close()
	done := newCounter(n)
	consumer, err := bus.NewConsumer(bus.ConsumerConfig{Config: cfg, Service: "orders", Publisher: producer, Parker: noParker{}, Log: silent(),
		Table: bus.Table{bus.On(func(_ context.Context, batch []bus.In[messages.OrderPlaced]) []bus.Result {
			time.Sleep(work)
			done.count(len(batch))
			return make([]bus.Result, len(batch))
		})}})
	if err != nil {
		return 0, err
	}
	// The consumer gets a context of its own: it must end after the measurement, and ctx must not.
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- consumer.Run(running) }()
	rate, err := done.await(ctx)
	stop()
	if endErr := <-ended; err == nil {
		err = endErr
	}
	return rate, err
}

// noParker is a dead-letter store that fails: every message of Fill is valid, so none may be parked.
type noParker struct{}

// Park returns an error, so that an unexpected dead letter stops the measurement by its time limit.
func (noParker) Park(_ context.Context, r messages.Record, reason, detail, _ string) error {
	return fmt.Errorf("a message of %s was to be parked: %s, %s", r.Topic, reason, strings.TrimSpace(detail))
}
