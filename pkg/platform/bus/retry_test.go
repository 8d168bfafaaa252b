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

// An attempt that takes too long is cancelled and tried again, with a context that is not cancelled yet.
func TestSlowAttemptIsCutAndTriedAgainWithAFreshContext(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	attempts := make(chan error, 10)
	var n atomic.Int64
	r := f.consume(one(func(ctx context.Context, _ bus.In[messages.OrderPlaced]) bus.Result {
		attempts <- ctx.Err()
		if n.Add(1) == 1 {
			<-ctx.Done()
			return bus.Result{Err: ctx.Err()}
		}
		return bus.Result{}
	}), func(c *bus.ConsumerConfig) { c.HandleTimeout = time.Second })
	f.publish("o1")
	require.NoError(t, next(t, attempts))
	require.NoError(t, next(t, attempts), "the second attempt began with a context that had ended")
	testkit.Eventually(t, f.committed(1))
	require.Empty(t, attempts)
	require.Empty(t, f.parked.all(), "a time-out is transient")
	require.Contains(t, r.samples(t), "messages_handled_total{event=order_placed,result=ok} 1")
	require.NotContains(t, r.samples(t), "messages_handled_total{event=order_placed,result=transient} 1", "the time-out is that of one attempt")
}

// Whoever is down is not hammered: attempts come further and further apart.
func TestTransientFailuresBackOff(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	attempts := make(chan time.Time, 100)
	f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result {
		attempts <- time.Now()
		if len(attempts) < 5 {
			return bus.Result{Err: errors.New("database away")}
		}
		return bus.Result{}
	}))
	f.publish("o1")
	testkit.Eventually(t, f.committed(1))
	first := next(t, attempts)
	for range 3 {
		next(t, attempts)
	}
	// 100, 200, 400 and 800 ms, each give or take a fifth.
	require.Greater(t, next(t, attempts).Sub(first), time.Second)
}

// Handlers are cancelled at the end of the drain. What they then say about their message is not about the message.
func TestMessageCancelledAtShutdownIsNotParkedButDeliveredAgain(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	begun := make(chan struct{})
	r := f.consume(one(func(ctx context.Context, _ bus.In[messages.OrderPlaced]) bus.Result {
		close(begun)
		<-ctx.Done()
		return bus.Result{Err: ctx.Err()}
	}), func(c *bus.ConsumerConfig) { c.DrainTimeout, c.HandleTimeout = 100*time.Millisecond, time.Minute })
	f.publish("o1")
	next(t, begun)
	require.NoError(t, r.stop())
	require.Empty(t, f.parked.all())

	again := make(chan string, 1)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		again <- in.Event.OrderID
		return bus.Result{}
	}))
	require.Equal(t, "o1", next(t, again))
}

// A service that is told to stop does not go on trying.
func TestTransientFailureIsNotTriedAgainOnceTheDrainHasBegun(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	var n atomic.Int64
	begun, finish := make(chan struct{}, 10), make(chan struct{})
	r := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result {
		n.Add(1)
		begun <- struct{}{}
		<-finish
		return bus.Result{Err: errors.New("database away")}
	}))
	f.publish("o1")
	next(t, begun)
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	testkit.Eventually(t, func() error {
		if !r.Draining() {
			return errors.New("not draining yet")
		}
		return nil
	})
	close(finish)
	require.NoError(t, next(t, stopped))
	require.EqualValues(t, 1, n.Load())
	require.Empty(t, f.parked.all())
}

// A panic may come from a passing state: it counts for its own record only.
func TestPanicsOfDifferentRecordsAreNotAddedUp(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	tries := make(map[string]int)
	done := make(chan string, 10)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		if tries[in.Event.OrderID]++; tries[in.Event.OrderID] < 3 {
			panic("not yet")
		}
		done <- in.Event.OrderID
		return bus.Result{}
	}))
	for _, id := range []string{"a", "b", "c"} {
		f.write([]byte("one after the other"), fmt.Appendf(nil, `{"order_id": %q, "user_id": "u", "total": 1}`, id))
	}
	require.Equal(t, "a", next(t, done))
	require.Equal(t, "b", next(t, done))
	require.Equal(t, "c", next(t, done))
	require.Empty(t, f.parked.all())
}

// hanging is a Publisher whose first call waits until it is told to stop.
type hanging struct {
	bus.Publisher
	calls atomic.Int64
}

func (h *hanging) Publish(ctx context.Context, msgs ...messages.Message) error {
	if h.calls.Add(1) == 1 {
		<-ctx.Done()
		return ctx.Err()
	}
	return h.Publisher.Publish(ctx, msgs...)
}

// The time-out bounds publishing, too: Kafka may hang after the use case has committed.
func TestPublishingThatHangsIsCutAndTriedAgain(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	h := &hanging{Publisher: f.producer}
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		return bus.Result{Publish: []messages.Message{{ID: "x", Time: in.Time,
			Event: messages.PaymentRequested{OrderID: "o1", UserID: "u1", Amount: in.Event.Total}}}}
	}), func(c *bus.ConsumerConfig) { c.Publisher, c.HandleTimeout = h, 500*time.Millisecond })
	f.publish("o1")
	testkit.Eventually(t, f.committed(1))
	require.GreaterOrEqual(t, h.calls.Load(), int64(2))
}
