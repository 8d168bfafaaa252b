package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
)

func TestDrainLetsTheMessageInWorkFinishAndCommitsIt(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	begun, finish := make(chan string, 10), make(chan struct{})
	var cancelled atomic.Bool
	c := f.consume(one(func(ctx context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		begun <- in.Event.OrderID
		<-finish
		cancelled.Store(ctx.Err() != nil)
		return bus.Result{}
	}))
	f.publish("first", "second")
	require.Equal(t, "first", next(t, begun))

	stopped := make(chan error, 1)
	go func() { stopped <- c.stop() }()
	testkit.Eventually(t, func() error {
		if !c.Draining() {
			return errors.New("not draining yet")
		}
		return nil
	})
	close(finish)
	require.NoError(t, next(t, stopped))
	require.False(t, cancelled.Load(), "the message in work saw a cancelled context")
	require.Empty(t, begun, "a message was admitted after the drain began")

	// Whoever comes next begins with the second message: the first one's acknowledgement was committed.
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		begun <- in.Event.OrderID
		return bus.Result{}
	}))
	require.Equal(t, "second", next(t, begun))
}

func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	begun := make(chan struct{})
	c := f.consume(one(func(ctx context.Context, _ bus.In[messages.OrderPlaced]) bus.Result {
		close(begun)
		<-ctx.Done() // a handler that only ends when it is cancelled
		return bus.Result{Err: ctx.Err()}
	}), func(cfg *bus.ConsumerConfig) {
		cfg.DrainTimeout = 200 * time.Millisecond
		cfg.HandleTimeout = time.Minute
	})
	f.publish("o1")
	next(t, begun)
	require.NoError(t, c.stop())
}

// A message that keeps failing must not keep its partition from a member that joins.
func TestFailingMessageDoesNotHoldUpARebalance(t *testing.T) {
	t.Parallel()
	f := setup(t, 2)
	failing := make(chan struct{}, 1000)
	f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result {
		select {
		case failing <- struct{}{}:
		default:
		}
		return bus.Result{Err: errors.New("database away")}
	}))
	// Both partitions get a message that never succeeds.
	for i := range 20 {
		f.publish(fmt.Sprint("o", i))
	}
	next(t, failing)

	got := make(chan string, 100)
	begin := time.Now()
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		got <- in.Event.OrderID
		return bus.Result{}
	}))
	next(t, got)
	// The rebalance timeout is 20 s: whoever has to wait for it waited for the failing message.
	require.Less(t, time.Since(begin), 15*time.Second)
}

func TestLagIsReported(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	block := make(chan struct{})
	c := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result {
		<-block
		return bus.Result{}
	}))
	f.publish("a", "b", "c")
	testkit.Eventually(t, func() error {
		families, err := c.registry.Gather()
		if err != nil {
			return err
		}
		for _, mf := range families {
			if mf.GetName() == "pasdetrois_consumer_lag" {
				for _, m := range mf.GetMetric() {
					if m.GetGauge().GetValue() == 3 {
						return nil
					}
				}
			}
		}
		return errors.New("no lag of 3 yet")
	})
	close(block)
}
