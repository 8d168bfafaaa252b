package bus

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/lanes"
)

// published is a Publisher that remembers.
type published struct {
	mu   sync.Mutex
	msgs []messages.Message
	err  error
}

func (p *published) Publish(_ context.Context, msgs ...messages.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.msgs = append(p.msgs, msgs...)
	return p.err
}

func (p *published) PublishRecords(context.Context, ...messages.Record) error { return nil }

func newTestDispatcher(t *testing.T, p Publisher, h Handler[messages.OrderPlaced]) *dispatcher {
	t.Helper()
	d, err := newDispatcher("test", Table{On(h)}, p, quiet(), newMetrics(nil, nil), time.Minute)
	require.NoError(t, err)
	t.Cleanup(d.close)
	return d
}

func orderRecord(t *testing.T, id string) messages.Record {
	t.Helper()
	r, err := messages.Message{ID: messages.ID(id, messages.EventOrderPlaced, "placed"), Source: "test", Time: time.Unix(1700000000, 0),
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Event:       messages.OrderPlaced{OrderID: id, UserID: "u", Total: messages.Money{Minor: 100, Currency: "USD"}, HasTotal: true}}.Record()
	require.NoError(t, err)
	r.Partition, r.Offset = 2, 77
	return r
}

func seenNothing(string) {}

func TestTheUseCaseIsToldAllAboutTheMessage(t *testing.T) {
	t.Parallel()
	var got In[messages.OrderPlaced]
	d := newTestDispatcher(t, &published{}, func(_ context.Context, batch []In[messages.OrderPlaced]) []Result {
		got = batch[0]
		return make([]Result, len(batch))
	})
	event := ""
	r := orderRecord(t, "o1")
	done, err := d.dispatch(t.Context(), r, func(e string) { event = e }, single)
	require.NoError(t, err)
	require.Equal(t, handled, done)
	require.Equal(t, messages.EventOrderPlaced, event)
	require.Equal(t, messages.ID("o1", messages.EventOrderPlaced, "placed"), got.ID)
	require.Equal(t, "o1", got.Event.OrderID)
	require.Equal(t, time.Unix(1700000000, 0).UTC(), got.Time.UTC())
	require.Contains(t, got.TraceParent, "0af7651916cd43dd8448eb211c80319c")
	require.Equal(t, r, got.Record, "as it was read, for parking and keeping aside")
}

func TestOutputsBelongToTheTraceOfTheirInput(t *testing.T) {
	t.Parallel()
	const own = "00-11111111111111111111111111111111-2222222222222222-01"
	p := &published{}
	d := newTestDispatcher(t, p, func(_ context.Context, batch []In[messages.OrderPlaced]) []Result {
		return []Result{{Publish: []messages.Message{{ID: "a"}, {ID: "b"}, {ID: "c", TraceParent: own}}}}
	})
	r := orderRecord(t, "o1")
	_, err := d.dispatch(t.Context(), r, seenNothing, single)
	require.NoError(t, err)
	require.Len(t, p.msgs, 3)
	require.Contains(t, p.msgs[0].TraceParent, "0af7651916cd43dd8448eb211c80319c")
	require.Equal(t, p.msgs[0].TraceParent, p.msgs[1].TraceParent)
	require.Equal(t, own, p.msgs[2].TraceParent, "a use case may continue another trace")

	// A foreign message carries none: what it causes is still one trace.
	p.msgs, r.Headers = nil, nil
	_, err = d.dispatch(t.Context(), r, seenNothing, single)
	require.NoError(t, err)
	require.NotEmpty(t, p.msgs[0].TraceParent)
	require.Equal(t, p.msgs[0].TraceParent, p.msgs[1].TraceParent)
}

func TestNothingIsPublishedForAMessageThatFailed(t *testing.T) {
	t.Parallel()
	p := &published{}
	d := newTestDispatcher(t, p, func(_ context.Context, batch []In[messages.OrderPlaced]) []Result {
		return []Result{{Publish: []messages.Message{{ID: "a"}}, Err: errors.New("rolled back")}}
	})
	_, err := d.dispatch(t.Context(), orderRecord(t, "o1"), seenNothing, single)
	require.ErrorContains(t, err, "rolled back")
	require.Empty(t, p.msgs)
}

func TestAUseCaseThatAnswersWithTheWrongNumberOfResultsIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	for n := range 3 {
		d := newTestDispatcher(t, &published{}, func(context.Context, []In[messages.OrderPlaced]) []Result { return make([]Result, n) })
		_, err := d.dispatch(t.Context(), orderRecord(t, "o1"), seenNothing, single)
		require.Equal(t, n != 1, err != nil, "%d results: %v", n, err)
		require.Equal(t, fault.Transient, fault.KindOf(err))
	}
}

func TestATableNamesEachEventOnceAndAtLeastOne(t *testing.T) {
	t.Parallel()
	h := func(context.Context, []In[messages.OrderPlaced]) []Result { return nil }
	_, err := newDispatcher("test", Table{On(h), On(h)}, nil, quiet(), newMetrics(nil, nil), time.Minute)
	require.ErrorContains(t, err, "event order_placed has two routes")
	_, err = newDispatcher("test", nil, nil, quiet(), newMetrics(nil, nil), time.Minute)
	require.ErrorContains(t, err, "at least one route")
	other := On(func(context.Context, []In[messages.PaymentRequested]) []Result { return nil })
	again := On(func(context.Context, []In[messages.PaymentCaptured]) []Result { return nil })
	require.Equal(t, []string{messages.TopicPayments, messages.TopicOrders}, Table{other, On(h), again}.topics())
}

// A message that failed before would make every batch that it shares fail, and each of them is done over one by one.
func TestAMessageThatFailedBeforeSharesNoBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		open := make(chan struct{})
		d := newTestDispatcher(t, &published{}, func(_ context.Context, batch []In[messages.OrderPlaced]) []Result {
			sizes = append(sizes, len(batch))
			<-open
			return make([]Result, len(batch))
		})
		four := lanesOf(lanes.New(lanes.Config{}), 4)
		var all sync.WaitGroup
		dispatch := func(cl *lanes.Lane, id string) {
			all.Go(func() {
				_, err := d.dispatch(t.Context(), orderRecord(t, id), seenNothing, inBatch(cl))
				require.NoError(t, err)
			})
			synctest.Wait()
		}
		four[1].Failed()
		dispatch(four[0], "runs")
		dispatch(four[1], "failed before")
		dispatch(four[2], "waits")
		dispatch(four[3], "waits, too")
		close(open)
		all.Wait()
		require.ElementsMatch(t, []int{1, 1, 2}, sizes)
	})
}

// What fails in a batch is known from then on.
func TestAFailureInABatchIsRemembered(t *testing.T) {
	t.Parallel()
	d := newTestDispatcher(t, &published{}, func(_ context.Context, batch []In[messages.OrderPlaced]) []Result {
		return []Result{{Err: errors.New("database away")}}
	})
	cl := lanesOf(lanes.New(lanes.Config{}), 1)[0]
	_, err := d.dispatch(t.Context(), orderRecord(t, "o1"), seenNothing, inBatch(cl))
	require.ErrorContains(t, err, "database away")
	require.True(t, cl.Alone())
	d.close()
	_, err = d.dispatch(t.Context(), orderRecord(t, "o1"), seenNothing, inBatch(cl))
	require.Error(t, err, "a batch that was given up is not handled")
}

// A topic carries what others are meant to act on, and what nobody knows yet.
func TestEventsThatAreForOthersAreAcknowledged(t *testing.T) {
	t.Parallel()
	d := newTestDispatcher(t, &published{}, func(context.Context, []In[messages.OrderPlaced]) []Result {
		panic("not for this use case")
	})
	r, err := messages.Message{ID: "m", Source: "test", Time: time.Unix(1700000000, 0),
		Event: messages.PaymentRequested{OrderID: "o", UserID: "u", Amount: messages.Money{Minor: 100, Currency: "USD"}}}.Record()
	require.NoError(t, err)
	var events []string
	see := func(event string) { events = append(events, event) }
	plain := r
	plain.Headers = nil
	unread := r
	unread.Value = append(bytes.Clone(r.Value), "{"...) // the header is enough
	for _, r := range []messages.Record{r, plain, unread} {
		done, err := d.dispatch(t.Context(), r, see, single)
		require.NoError(t, err)
		require.Equal(t, ignored, done)
	}
	require.Equal(t, []string{"payment_requested", "payment_requested", "payment_requested"}, events, "none counts as an unknown event")
	done, err := d.dispatch(t.Context(), messages.Record{Topic: messages.TopicOrders, Value: []byte(`{"event": "order_praised"}`)}, seenNothing, single)
	require.NoError(t, err)
	require.Equal(t, ignored, done)
}

// What may come of another message in the batch is tried alone at once; what is the message's own fault need not be.
func TestABatchThatFailedIsDoneOverOneByOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		sizes []int
	}{
		"transient": {errors.New("deadlock"), []int{1, 3, 1, 1, 1}},
		"permanent": {fault.New("contradicts_state", "no"), []int{1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var sizes []int
				open := make(chan struct{})
				d := newTestDispatcher(t, &published{}, func(_ context.Context, batch []In[messages.OrderPlaced]) []Result {
					sizes = append(sizes, len(batch))
					<-open
					results := make([]Result, len(batch))
					if len(batch) > 1 {
						for i := range results {
							results[i].Err = c.err
						}
					}
					return results
				})
				var all sync.WaitGroup
				for _, cl := range lanesOf(lanes.New(lanes.Config{}), 4) {
					all.Go(func() { _, _ = d.dispatch(t.Context(), orderRecord(t, "o"), seenNothing, inBatch(cl)) })
					synctest.Wait()
				}
				close(open)
				all.Wait()
				require.Equal(t, c.sizes, sizes)
			})
		})
	}
}

// lanesOf returns n lanes of c.
func lanesOf(c *lanes.Claims, n int) []*lanes.Lane {
	all := make([]*lanes.Lane, n)
	for i := range all {
		msg := message.NewMessage("", nil)
		msg.Metadata.Set("lane", strconv.Itoa(i))
		all[i] = c.Of(msg)
	}
	return all
}
