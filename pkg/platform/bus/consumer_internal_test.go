package bus

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

// subscriberFunc is a Subscriber that has nothing to close.
type subscriberFunc func() (<-chan *message.Message, error)

func (f subscriberFunc) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return f()
}
func (f subscriberFunc) Close() error { return nil }

func newTestConsumer(t *testing.T, broker string) *Consumer {
	t.Helper()
	c, err := NewConsumer(ConsumerConfig{Config: kafka.Config{Brokers: []string{broker}, GroupPrefix: "p."}, Service: "test", Log: quiet(),
		Metrics: prometheus.NewRegistry(), Table: Table{On(func(context.Context, []In[messages.OrderPlaced]) []Result { return nil })}})
	require.NoError(t, err)
	return c
}

// A router whose subscriptions have all ended returns without an error. A service that reads nothing any more must not
// go on as if all was well.
func TestConsumingThatEndsByItselfIsAFailure(t *testing.T) {
	t.Parallel()
	c := newTestConsumer(t, "localhost:1")
	received := make(chan *message.Message)
	c.subscriber = func(context.Context, string) (message.Subscriber, error) {
		return subscriberFunc(func() (<-chan *message.Message, error) { return received, nil }), nil
	}
	ended := make(chan error, 1)
	go func() { ended <- c.consume(t.Context()) }()
	testkit.Eventually(t, func() error {
		if !c.joined.Load() {
			return errors.New("it does not consume yet")
		}
		return nil
	})
	close(received)
	require.ErrorContains(t, receive(t, ended, time.Minute, "it goes on"), "consuming ended by itself")
}

func TestAConsumerIsReadyOnceItIsSubscribed(t *testing.T) {
	t.Parallel()
	c := newTestConsumer(t, "localhost:1")
	require.ErrorContains(t, c.Check(t.Context()), "not connected yet")
	c.monitor.report(nil)
	require.ErrorContains(t, c.Check(t.Context()), "not subscribed yet")
	c.joined.Store(true)
	require.NoError(t, c.Check(t.Context()))
	cl := lanesOf(c.claims, 1)[0]
	c.claims.HeldUp(cl, messages.Record{Topic: "orders"}, errors.New("database away"))
	require.ErrorContains(t, c.Check(t.Context()), "database away")
	c.monitor.report(errors.New("kafka away"))
	require.ErrorContains(t, c.Check(t.Context()), "kafka away")
	require.ErrorContains(t, c.Check(t.Context()), "database away")
}

func TestConsumerHasBoundsAndGroupsOfItsOwn(t *testing.T) {
	t.Parallel()
	c := newTestConsumer(t, "localhost:1")
	require.Equal(t, 30*time.Second, c.cfg.HandleTimeout)
	require.Equal(t, 10*time.Second, c.cfg.DrainTimeout)
	require.Equal(t, "p.test.orders", c.cfg.Group("test", "orders"), "each topic has its own, so that a change in one never pauses another")
	_, err := NewConsumer(ConsumerConfig{})
	require.ErrorContains(t, err, "KAFKA_BROKERS")
}
