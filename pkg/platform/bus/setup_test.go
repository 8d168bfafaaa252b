package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// parked is a Parker that remembers, and fails while err is set or with a context that has ended.
type parked struct {
	mu      sync.Mutex
	letters []letter
	err     error
	ch      chan letter
	hold    chan struct{} // when set, parking waits for it
}

type letter struct {
	record                messages.Record
	reason, detail, stack string
}

func newParked() *parked { return &parked{ch: make(chan letter, 1000)} }

func (p *parked) Park(ctx context.Context, r messages.Record, reason, detail, stack string) error {
	if p.hold != nil {
		p.ch <- letter{r, reason, detail, stack}
		<-p.hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := errors.Join(p.err, ctx.Err()); err != nil {
		return err
	}
	l := letter{r, reason, detail, stack}
	p.letters = append(p.letters, l)
	p.ch <- l
	return nil
}

func (p *parked) all() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]letter(nil), p.letters...)
}

// fixture is one test's corner of the broker: its own topics and groups.
type fixture struct {
	t        *testing.T
	cfg      kafka.Config
	producer *bus.Producer
	parked   *parked
	log      *slog.Logger
	logs     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func setup(t *testing.T, partitions int32) *fixture {
	t.Helper()
	f := setupAt(t, testkit.Brokers(t))
	f.createTopics(partitions, messages.TopicOrders, messages.TopicPayments)
	return f
}

// setupAt is setup on given brokers, without topics.
func setupAt(t *testing.T, brokers []string) *fixture {
	t.Helper()
	prefix := testkit.Prefix(t)
	f := &fixture{t: t, parked: newParked(), logs: &lockedBuffer{},
		cfg: kafka.Config{Brokers: brokers, TopicPrefix: prefix, GroupPrefix: prefix}}
	f.log = slog.New(slog.NewTextHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	f.producer, err = bus.NewProducer(bus.ProducerConfig{Config: f.cfg, Service: "test", Log: f.log})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, f.producer.Close())
		if t.Failed() {
			t.Log(f.logs.String())
		}
	})
	return f
}

func (f *fixture) createTopics(partitions int32, names ...string) {
	f.t.Helper()
	var specs []kafka.TopicSpec
	for _, name := range names {
		specs = append(specs, kafka.TopicSpec{Name: name, Partitions: partitions, ReplicationFactor: 1})
	}
	_, err := kafka.CreateTopics(f.t.Context(), f.cfg, specs)
	require.NoError(f.t, err)
}

// running is a consumer at work.
type running struct {
	*bus.Consumer
	registry *prometheus.Registry
	stop     func() error // ends it and returns Run's error
}

// consume starts a consumer with the table and stops it when the test ends.
func (f *fixture) consume(table bus.Table, change ...func(*bus.ConsumerConfig)) *running {
	f.t.Helper()
	reg := prometheus.NewRegistry()
	cfg := bus.ConsumerConfig{Config: f.cfg, Service: "test", Table: table, Publisher: f.producer, Parker: f.parked,
		Log: f.log, Metrics: reg, HandleTimeout: 10 * time.Second,
		DrainTimeout: time.Minute} // longer than a test waits for the end: a drain that waits for nothing is a failure
	for _, c := range change {
		c(&cfg)
	}
	c, err := bus.NewConsumer(cfg)
	require.NoError(f.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	r := &running{Consumer: c, registry: reg}
	r.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			return fmt.Errorf("the consumer did not stop")
		}
	})
	f.t.Cleanup(func() { require.NoError(f.t, r.stop()) })
	return r
}

func (f *fixture) publish(orderIDs ...string) {
	f.t.Helper()
	for _, id := range orderIDs {
		require.NoError(f.t, f.producer.Publish(f.t.Context(), placed(id)))
	}
}

// write puts raw bytes on the topic, as a foreign client would.
func (f *fixture) write(key, value []byte) {
	f.t.Helper()
	require.NoError(f.t, f.producer.PublishRecords(f.t.Context(), messages.Record{Topic: messages.TopicOrders, Key: key, Value: value}))
}

// committed checks that the group of service test has committed so many records of the first partition.
func (f *fixture) committed(want int64) func() error {
	f.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cfg.Brokers...))
	require.NoError(f.t, err)
	f.t.Cleanup(client.Close)
	topic, group := f.cfg.TopicPrefix+messages.TopicOrders, f.cfg.GroupPrefix+"test."+messages.TopicOrders
	return func() error {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group = group
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: []int32{0}}}
		resp, err := req.RequestWith(f.t.Context(), client)
		if err != nil {
			return err
		}
		if len(resp.Topics) == 0 || len(resp.Topics[0].Partitions) == 0 {
			return fmt.Errorf("nothing is committed: %v", kerr.ErrorForCode(resp.ErrorCode))
		}
		if at := resp.Topics[0].Partitions[0].Offset; at != want {
			return fmt.Errorf("committed up to %d, not %d", at, want)
		}
		return nil
	}
}

func placed(id string) messages.Message {
	return messages.Message{ID: messages.ID(id, messages.EventOrderPlaced, "placed"), Time: time.Now(),
		Event: messages.OrderPlaced{OrderID: id, UserID: "u1", Total: messages.Money{Minor: 4999, Currency: "USD"}, HasTotal: true}}
}

// one adapts a function over one message to a Handler.
func one(f func(ctx context.Context, in bus.In[messages.OrderPlaced]) bus.Result) bus.Table {
	return bus.Table{bus.On(func(ctx context.Context, batch []bus.In[messages.OrderPlaced]) []bus.Result {
		out := make([]bus.Result, len(batch))
		for i, in := range batch {
			out[i] = f(ctx, in)
		}
		return out
	})}
}

// next receives within the test's patience.
func next[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came within 30 s")
		panic("unreachable")
	}
}
