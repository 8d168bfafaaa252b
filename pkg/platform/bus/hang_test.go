package bus_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
)

// pausable is a broker that can be made to hang, as a stopped process or a network without answers does: connections
// are accepted and stay open, and nothing comes back.
type pausable struct {
	net.Listener
	mu     sync.Mutex
	paused chan struct{} // open while it hangs
}

// pausableBroker returns a running broker without topics.
func pausableBroker(t *testing.T) (*pausable, []string) {
	t.Helper()
	p := &pausable{paused: make(chan struct{})}
	close(p.paused)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(func(network, address string) (l net.Listener, err error) {
		p.Listener, err = net.Listen(network, address)
		return p, err
	}))
	require.NoError(t, err)
	t.Cleanup(func() {
		p.resume()
		cluster.Close()
	})
	return p, cluster.ListenAddrs()
}

func (p *pausable) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = make(chan struct{})
}

func (p *pausable) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.paused:
	default:
		close(p.paused)
	}
}

func (p *pausable) wait() {
	p.mu.Lock()
	paused := p.paused
	p.mu.Unlock()
	<-paused
}

func (p *pausable) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	return pausableConn{conn, p}, err
}

type pausableConn struct {
	net.Conn
	broker *pausable
}

func (c pausableConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.broker.wait() // what was asked before the pause may be answered within it
	return n, err
}

func (c pausableConn) Write(b []byte) (int, error) {
	c.broker.wait()
	return c.Conn.Write(b)
}

func TestPublishingToABrokerThatHangsEndsWithItsContextAndIsWrittenOnce(t *testing.T) {
	t.Parallel()
	broker, addrs := pausableBroker(t)
	f := setupAt(t, addrs)
	f.createTopics(1, messages.TopicOrders)
	f.publish("before")
	broker.pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- f.producer.Publish(ctx, placed("during")) }()
	require.ErrorIs(t, next(t, ended), context.DeadlineExceeded)
	require.NoError(t, f.producer.Check(t.Context()), "a check asks nobody")
	broker.resume()

	f.publish("after")
	var got []string
	ids := make(chan string, 10)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		ids <- in.Event.OrderID
		return bus.Result{}
	}))
	for len(got) < 3 {
		got = append(got, next(t, ids))
	}
	require.ElementsMatch(t, []string{"before", "during", "after"}, got)
	require.Empty(t, ids)
}

func TestClosingAProducerWhileTheBrokerHangsIsBounded(t *testing.T) {
	t.Parallel()
	broker, addrs := pausableBroker(t)
	f := setupAt(t, addrs)
	f.createTopics(1, messages.TopicOrders)
	p, err := bus.NewProducer(bus.ProducerConfig{Config: f.cfg, Service: "test", Log: f.log})
	require.NoError(t, err)
	require.NoError(t, p.Publish(t.Context(), placed("before")))
	broker.pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Publish(ctx, placed("during")), context.DeadlineExceeded)
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	require.ErrorContains(t, next(t, closed), "does not answer")
}

// A broker that hangs cannot be told goodbye. What was not committed is delivered again, which is no failure of the
// service that stops.
func TestStoppingWhileTheBrokerHangsIsBoundedAndNoFailure(t *testing.T) {
	t.Parallel()
	broker, addrs := pausableBroker(t)
	f := setupAt(t, addrs)
	f.createTopics(1, messages.TopicOrders)
	got := make(chan string, 10)
	handler := func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		got <- in.Event.OrderID
		return bus.Result{}
	}
	r := f.consume(one(handler))
	f.publish("o1")
	require.Equal(t, "o1", next(t, got))
	testkit.Eventually(t, func() error { return r.Check(t.Context()) })
	broker.pause()
	require.NoError(t, r.stop()) // it has 30 s, and DRAIN_TIMEOUT is longer here
	broker.resume()

	f.publish("o2")
	f.consume(one(handler))
	for id := ""; id != "o2"; {
		id = next(t, got) // o1 may come again
	}
}
