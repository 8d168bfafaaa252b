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
	"pasdetrois/pkg/platform/fault"
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
	for _, id := range []string{"first", "second"} { // of one key, so the second waits for the first
		f.write([]byte("k"), fmt.Appendf(nil, `{"order_id":%q,"user_id":"u","total":1}`, id))
	}
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

// Parking is part of the work on a message: the drain waits for it, and for its acknowledgement.
func TestDrainLetsAMessageBeParkedAndCommitsIt(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	f.parked.hold = make(chan struct{})
	c := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result {
		return bus.Result{Err: fault.New("contradicts_state", "no")}
	}))
	f.publish("o1")
	next(t, f.parked.ch)
	stopped := make(chan error, 1)
	go func() { stopped <- c.stop() }()
	testkit.Eventually(t, func() error {
		if !c.Draining() {
			return errors.New("not draining yet")
		}
		return nil
	})
	require.Equal(t, 1, c.InWork())
	close(f.parked.hold)
	require.NoError(t, next(t, stopped))
	require.Len(t, f.parked.all(), 1)
	require.NoError(t, f.committed(1)())
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

// A message that keeps failing must not keep its partition from a member that joins, and must not be lost to it.
func TestFailingMessageDoesNotHoldUpARebalance(t *testing.T) {
	t.Parallel()
	const orders = 20
	f := setup(t, 2)
	back := make(chan struct{})
	handled := make(chan string, 10*orders)
	first := f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		select {
		case <-back:
			handled <- in.Event.OrderID
			return bus.Result{}
		default:
			return bus.Result{Err: errors.New("database away")}
		}
	}))
	for i := range orders {
		f.publish(fmt.Sprint("o", i))
	}
	heldUp := func() (n int) {
		if err := first.Check(t.Context()); err != nil {
			_, _ = fmt.Sscanf(err.Error(), "%d messages are held up", &n)
		}
		return n
	}
	before := 0
	testkit.Eventually(t, func() error {
		if before = heldUp(); before < orders/2 { // keys that share a lane wait behind each other
			return fmt.Errorf("%d messages are held up", before)
		}
		return nil
	})

	got := make(chan string, orders)
	begin := time.Now()
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		got <- in.Event.OrderID
		handled <- in.Event.OrderID
		return bus.Result{}
	}))
	next(t, got)
	// The rebalance timeout is 20 s: whoever has to wait for it waited for the failing message.
	require.Less(t, time.Since(begin), 15*time.Second)
	testkit.Eventually(t, func() error {
		if n := heldUp(); n == 0 || n >= before {
			return fmt.Errorf("%d messages are held up, as if none of the partitions had gone away", n)
		}
		return nil
	})

	close(back)
	seen := make(map[string]bool)
	for len(seen) < orders {
		seen[next(t, handled)] = true
	}
	require.Empty(t, f.parked.all())
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
	lag := func(want float64) {
		testkit.Eventually(t, func() error {
			families, err := c.registry.Gather()
			if err != nil {
				return err
			}
			for _, mf := range families {
				if mf.GetName() == "pasdetrois_consumer_lag" && mf.GetMetric()[0].GetGauge().GetValue() == want {
					return nil
				}
			}
			return fmt.Errorf("no lag of %v", want)
		})
	}
	lag(3)
	close(block)
	lag(0)
}
