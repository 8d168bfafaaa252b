// Package parts measures single parts of the product alone, beside the stock ones that the peer stock runs: the relay that
// moves messages from the outbox to Kafka, and the consumer.
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
	"pasdetrois/pkg/platform/run"
)

// patience is how long a part may take for all of its messages.
const patience = 3 * time.Minute

// counter notes when the first and the last of n messages was done with.
type counter struct {
	mu          sync.Mutex
	n, left     int
	first, last time.Time
	done        chan struct{}
}

func newCounter(n int) *counter { return &counter{n: n, left: n, done: make(chan struct{})} }

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

// await returns how many messages a second were done with.
func (c *counter) await(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-c.done:
		c.mu.Lock()
		defer c.mu.Unlock()
		return float64(c.n-1) / c.last.Sub(c.first).Seconds(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("not all of %d messages were done with: %w", c.n, context.Cause(ctx))
	}
}

// collectAsShipped gives the garbage collector the setting that the services have, until its result is called.
func collectAsShipped() (restore func()) {
	percent := debug.SetGCPercent(run.GCPercent)
	return func() { debug.SetGCPercent(percent) }
}

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// Fill writes n orders without items to a topic.
func Fill(ctx context.Context, brokers []string, topic string, n int) error {
	return fill(ctx, brokers, topic, n, func(i int) []byte {
		return fmt.Appendf(nil, `{"order_id":"waiting-%d","user_id":"u-%d","total":49.99}`, i, i)
	})
}

// FillOrders writes n orders, each for one piece of the product that sku chooses, to a topic.
func FillOrders(ctx context.Context, brokers []string, topic string, n int, sku func(int) string) error {
	return fill(ctx, brokers, topic, n, func(i int) []byte {
		return fmt.Appendf(nil, `{"order_id":"waiting-%d","user_id":"u-%d","items":[{"sku":%q,"quantity":1}]}`, i, i, sku(i))
	})
}

func fill(ctx context.Context, brokers []string, topic string, n int, value func(int) []byte) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MaxBufferedRecords(50_000))
	if err != nil {
		return fmt.Errorf("fill topic %s: %w", topic, err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for i := range n {
		client.Produce(ctx, &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "waiting-%d", i), Value: value(i)}, func(_ *kgo.Record, err error) {
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

// Consume measures how many messages a second the bus hands to a handler that takes work for each call, as a transaction
// does. n messages wait in the topic of orders.
func Consume(ctx context.Context, brokers []string, prefix string, n int, work time.Duration) (float64, error) {
	defer collectAsShipped()()
	cfg := bus.Config{Brokers: brokers, TopicPrefix: prefix, GroupPrefix: prefix}
	producer, err := bus.NewProducer(cfg, "orders", silent())
	if err != nil {
		return 0, err
	}
	defer producer.Close()
	done := newCounter(n)
	consumer, err := bus.NewConsumer(bus.ConsumerConfig{Config: cfg, Service: "orders", Publisher: producer, Parker: nobody{}, Log: silent(),
		Table: bus.Table{bus.On(func(_ context.Context, batch []bus.In[messages.OrderPlaced]) []bus.Result {
			time.Sleep(work)
			done.count(len(batch))
			return make([]bus.Result, len(batch))
		})}})
	if err != nil {
		return 0, err
	}
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

// nobody parks nothing: every message of Fill is a good one.
type nobody struct{}

func (nobody) Park(_ context.Context, r messages.Record, reason, detail, _ string) error {
	return fmt.Errorf("a message of %s was to be parked: %s, %s", r.Topic, reason, strings.TrimSpace(detail))
}
