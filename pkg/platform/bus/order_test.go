package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
)

// One key's messages are handled in the order of their publication, also those of one call, and also when some fail on
// the way.
func TestMessagesOfAKeyKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const keys, each = 6, 20
	f := setup(t, 3)
	var mu sync.Mutex
	got, failed := make(map[string][]int), make(map[string]bool)
	done := make(chan struct{})
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		mu.Lock()
		defer mu.Unlock()
		n, err := strconv.Atoi(in.Event.UserID)
		if err == nil && n%7 == 3 && !failed[in.ID] {
			failed[in.ID] = true
			return bus.Result{Err: errors.New("once")}
		}
		got[in.Event.OrderID] = append(got[in.Event.OrderID], n)
		total := 0
		for _, ns := range got {
			total += len(ns)
		}
		if total == keys*each {
			close(done)
		}
		return bus.Result{Err: err}
	}))
	var batch []messages.Message
	for i := range keys * each {
		m := placed(fmt.Sprint("key-", i%keys))
		e := m.Event.(messages.OrderPlaced)
		e.UserID = strconv.Itoa(i / keys)
		m.ID, m.Event = messages.ID(e.OrderID, messages.EventOrderPlaced, e.UserID), e
		batch = append(batch, m)
	}
	require.NoError(t, f.producer.Publish(t.Context(), batch[:keys*each/2]...))
	require.NoError(t, f.producer.Publish(t.Context(), batch[keys*each/2:]...))
	next(t, done)
	mu.Lock()
	defer mu.Unlock()
	for key, ns := range got {
		require.Len(t, ns, each, key)
		require.True(t, slices.IsSorted(ns), "%s: %v", key, ns)
	}
}

// An aborted transaction never happened: its records are on the topic, and nobody may act on them.
func TestRecordsOfAnAbortedTransactionAreNeverSeen(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cfg.Brokers...), kgo.TransactionalID(f.cfg.TopicPrefix+"tx"))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	transaction := func(orderID string, outcome kgo.TransactionEndTry) {
		require.NoError(t, client.BeginTransaction())
		require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: f.cfg.TopicPrefix + messages.TopicOrders,
			Key: []byte("one after the other"), Value: fmt.Appendf(nil, `{"order_id": %q, "user_id": "u", "total": 1}`, orderID)}).FirstErr())
		require.NoError(t, client.EndTransaction(t.Context(), outcome))
	}
	transaction("aborted", kgo.TryAbort)
	transaction("committed", kgo.TryCommit)
	got := make(chan string, 10)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		got <- in.Event.OrderID
		return bus.Result{}
	}))
	f.write([]byte("one after the other"), []byte(`{"order_id": "last", "user_id": "u", "total": 1}`))
	require.Equal(t, "committed", next(t, got))
	require.Equal(t, "last", next(t, got))
	require.Empty(t, got)
}

// A tombstone has no value, and nothing written by another client has an id of ours.
func TestTombstonesAreParkedOneByOne(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result { return bus.Result{} }))
	f.write([]byte("k"), nil)
	f.write([]byte("k"), nil)
	f.write(nil, nil)
	var offsets []int64
	for range 3 {
		l := next(t, f.parked.ch)
		require.Nil(t, l.record.Value)
		require.NotEmpty(t, l.reason)
		offsets = append(offsets, l.record.Offset)
	}
	require.ElementsMatch(t, []int64{0, 1, 2}, offsets)
}

// What is parked can be replayed only when nothing of the record is lost.
func TestAParkedRecordIsTheRecordThatWasRead(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result { return bus.Result{} }))
	in := messages.Record{Topic: messages.TopicOrders, Key: []byte("k\x00"), Value: []byte("no JSON \xff"),
		Headers: []messages.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "empty", Value: []byte{}}}}
	in.Time = time.UnixMilli(1700000000123)
	require.NoError(t, f.producer.PublishRecords(t.Context(), messages.Record{Topic: messages.TopicOrders, Value: []byte("no key")}))
	keyless := next(t, f.parked.ch).record
	require.Nil(t, keyless.Key)
	require.WithinDuration(t, time.Now(), keyless.Time, time.Hour, "a record without time gets that of its writing")
	require.NoError(t, f.producer.PublishRecords(t.Context(), in))
	got := next(t, f.parked.ch).record
	require.Equal(t, in.Topic, got.Topic, "the contract's name, without prefix")
	require.Equal(t, in.Key, got.Key)
	require.Equal(t, in.Value, got.Value)
	require.Len(t, got.Headers, 3)
	for i, h := range got.Headers {
		require.Equal(t, in.Headers[i].Key, h.Key)
		require.Equal(t, string(in.Headers[i].Value), string(h.Value))
	}
	require.EqualValues(t, 1, got.Offset)
	require.Equal(t, in.Time.UTC(), got.Time.UTC())
}

// Each topic has a group of its own, and two services never share one.
func TestServicesReadTheSameTopicEachForItself(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	a, b := make(chan string, 10), make(chan string, 10)
	for service, ch := range map[string]chan string{"a": a, "b": b} {
		f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
			ch <- in.Event.OrderID
			return bus.Result{}
		}), func(c *bus.ConsumerConfig) { c.Service = service })
	}
	f.publish("o1")
	require.Equal(t, "o1", next(t, a))
	require.Equal(t, "o1", next(t, b))
}

func TestReadinessNamesThePartitionThatIsHeldUpAndWhy(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	r := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result {
		return bus.Result{Err: errors.New("database away")}
	}))
	f.publish("o1")
	testkit.Eventually(t, func() error {
		if err := r.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "1 messages are held up, at orders/0 by: database away") {
			return errors.Join(errors.New("readiness does not say which partition"), err)
		}
		return nil
	})
}
