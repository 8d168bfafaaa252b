package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
)

func TestMessageWrittenBeforeTheGroupExistedIsHandled(t *testing.T) {
	t.Parallel()
	f := setup(t, 3)
	f.publish("early")
	got := make(chan string, 1)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		got <- in.Event.OrderID
		return bus.Result{}
	}))
	require.Equal(t, "early", next(t, got))
}

func TestOutputsAreWrittenBeforeTheMessageIsAcknowledged(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	out := make(chan bus.In[messages.PaymentRequested], 10)
	table := one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		return bus.Result{Publish: []messages.Message{{
			ID:    messages.ID(in.Event.OrderID, messages.EventPaymentRequested, "reserve"),
			Time:  in.Time,
			Event: messages.PaymentRequested{OrderID: in.Event.OrderID, UserID: in.Event.UserID, Amount: in.Event.Total},
		}}}
	})
	table = append(table, bus.On(func(_ context.Context, batch []bus.In[messages.PaymentRequested]) []bus.Result {
		for _, in := range batch {
			out <- in
		}
		return make([]bus.Result, len(batch))
	}))
	f.consume(table)
	m := placed("o1")
	m.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	require.NoError(t, f.producer.Publish(t.Context(), m))
	in := next(t, out)
	require.Equal(t, "o1", in.Event.OrderID)
	require.Contains(t, in.TraceParent, "0af7651916cd43dd8448eb211c80319c", "the output belongs to the input's trace")
	require.Equal(t, "o1", string(in.Record.Key))
	require.Contains(t, in.Record.Headers, messages.Header{Key: "ce_source", Value: []byte("/pasdetrois/test")})
}

func TestFailedPublishLeavesTheMessageUnacknowledged(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	broken := &breakable{Publisher: f.producer, err: errors.New("broker away")}
	calls := make(chan int, 100)
	n := 0
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		n++
		calls <- n
		return bus.Result{Publish: []messages.Message{{ID: "x", Time: in.Time,
			Event: messages.PaymentRequested{OrderID: "o1", UserID: "u1", Amount: in.Event.Total}}}}
	}), func(c *bus.ConsumerConfig) { c.Publisher = broken })
	f.publish("o1")
	require.Equal(t, 1, next(t, calls))
	require.Equal(t, 2, next(t, calls), "tried again because its output was not acknowledged")
	broken.mend()
	testkit.Eventually(t, func() error {
		if broken.count() == 0 {
			return errors.New("nothing published yet")
		}
		return nil
	})
	require.Empty(t, f.parked.all())
}

type breakable struct {
	bus.Publisher
	mu        sync.Mutex
	err       error
	published int
}

func (b *breakable) Publish(ctx context.Context, msgs ...messages.Message) error {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return err
	}
	err = b.Publisher.Publish(ctx, msgs...)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.published += len(msgs)
	return err
}

func (b *breakable) mend() { b.mu.Lock(); b.err = nil; b.mu.Unlock() }

func (b *breakable) count() int { b.mu.Lock(); defer b.mu.Unlock(); return b.published }

func TestUnusableRecordIsParkedOnceAndTheNextIsHandled(t *testing.T) {
	t.Parallel()
	for name, value := range map[string][]byte{
		"no JSON":     []byte("\x00\xff garbage"),
		"nil payload": nil,
		"wrong shape": []byte(`[1,2,3]`),
		"no order id": []byte(`{"user_id":"u","total":1}`),
		"100 KiB":     append([]byte(`{"order_id":"`), append(make([]byte, 100<<10), `"}`...)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, 1)
			got := make(chan string, 1)
			f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
				got <- in.Event.OrderID
				return bus.Result{}
			}))
			f.write([]byte("k"), value)
			f.publish("after")
			require.Equal(t, "after", next(t, got))
			l := next(t, f.parked.ch)
			require.NotEmpty(t, l.reason)
			require.Equal(t, "k", string(l.record.Key))
			require.Equal(t, value, l.record.Value)
			require.Equal(t, messages.TopicOrders, l.record.Topic)
			require.Len(t, f.parked.all(), 1)
		})
	}
}

func TestPermanentErrorIsParkedWithItsReason(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result {
		return bus.Result{Err: fmt.Errorf("apply: %w", fault.New("contradicts_state", "the order is gone"))}
	}))
	f.publish("o1")
	l := next(t, f.parked.ch)
	require.Equal(t, "contradicts_state", l.reason)
	require.Contains(t, l.detail, "the order is gone")
}

func TestTransientErrorIsTriedAgainAndNeverParked(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	const failures = 8 // more than one cycle of retries
	handled := make(chan int, 1)
	var calls atomic.Int64
	c := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result {
		n := int(calls.Add(1))
		if n <= failures {
			return bus.Result{Err: errors.New("database away")}
		}
		handled <- n
		return bus.Result{}
	}))
	f.publish("o1")
	testkit.Eventually(t, func() error {
		if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "database away") {
			return errors.New("readiness does not say what holds a partition up")
		}
		return nil
	})
	require.Equal(t, failures+1, next(t, handled))
	require.Empty(t, f.parked.all())
	testkit.Eventually(t, func() error { return c.Check(t.Context()) })
}

func TestMessageThatCannotBeParkedIsNotLost(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	f.parked.err = errors.New("database away")
	calls := make(chan struct{}, 100)
	f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result {
		calls <- struct{}{}
		return bus.Result{Err: fault.New("contradicts_state", "no")}
	}))
	f.publish("o1")
	next(t, calls)
	next(t, calls)
	f.parked.mu.Lock()
	f.parked.err = nil
	f.parked.mu.Unlock()
	require.Equal(t, "contradicts_state", next(t, f.parked.ch).reason)
}

func TestThirdPanicParksTheRecordWithItsStack(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	calls := make(chan struct{}, 100)
	got := make(chan string, 1)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		if in.Event.OrderID == "bad" {
			calls <- struct{}{}
			panic("index out of range")
		}
		got <- in.Event.OrderID
		return bus.Result{}
	}))
	f.publish("bad", "good")
	require.Equal(t, "good", next(t, got))
	l := next(t, f.parked.ch)
	require.Equal(t, "panic", l.reason)
	require.Contains(t, l.stack, "consumer_test.go")
	require.GreaterOrEqual(t, len(calls), 3)
	require.LessOrEqual(t, len(calls), 4, "three times alone, and perhaps once in a batch with the other")
	require.Len(t, f.parked.all(), 1)
}

func TestEventsWithoutARouteAreAcknowledged(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	got := make(chan string, 1)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		got <- in.Event.OrderID
		return bus.Result{}
	}))
	f.write(nil, []byte(`{"event":"order_praised","order_id":"o1"}`))
	f.publish("after")
	require.Equal(t, "after", next(t, got))
	require.Empty(t, f.parked.all())
}

// Two records without an id are two messages unless they are equal and of one millisecond: a copy has another place.
func TestForeignRecordsWithoutIDsStayApart(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	ids := make(chan string, 10)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		ids <- in.ID
		return bus.Result{}
	}))
	f.write(nil, []byte(`{"order_id":1,"user_id":2,"total":49.99}`))
	f.write(nil, []byte(`{"order_id":1,"user_id":3,"total":49.99}`))
	first, second := next(t, ids), next(t, ids)
	require.NotEmpty(t, first)
	require.NotEqual(t, first, second)
}

func TestReplayReturnsTheErrorInsteadOfParking(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	c := f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		if in.Event.OrderID == "panics" {
			panic("boom")
		}
		return bus.Result{Err: fault.New("still_bad", "no")}
	}))
	r, err := placed("o1").Record()
	require.NoError(t, err)
	require.Equal(t, "still_bad", fault.Reason(c.Handle(t.Context(), r)))
	r, err = placed("panics").Record()
	require.NoError(t, err)
	err = c.Handle(t.Context(), r)
	require.ErrorContains(t, err, "boom")
	require.ErrorContains(t, err, "consumer_test.go", "where it panicked")
	require.Empty(t, f.parked.all())
}
