package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
)

// numbered writes messages numbered from to to-1 of each key; the number is the user.
func (f *fixture) numbered(keys []string, from, to int) {
	f.t.Helper()
	for i := from; i < to; i++ {
		for _, key := range keys {
			f.write([]byte(key), fmt.Appendf(nil, `{"order_id":%q,"user_id":%d,"total":1}`, key, i))
		}
	}
}

func keysNamed(prefix string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = prefix + strconv.Itoa(i)
	}
	return keys
}

// Random failures, and a member that comes and goes, never change the order of one key's messages, and lose none.
func TestTheMessagesOfOneKeyStayInOrder(t *testing.T) {
	t.Parallel()
	f := setup(t, 2)
	const each = 20
	keys := keysNamed("k", 30)
	var mu sync.Mutex
	last, done := map[string]int{}, 0
	handler := func(_ context.Context, batch []bus.In[messages.OrderPlaced]) []bus.Result {
		results := make([]bus.Result, len(batch))
		mu.Lock()
		defer mu.Unlock()
		for i, in := range batch {
			if rand.IntN(20) == 0 {
				results[i].Err = errors.New("bad luck")
				continue
			}
			n, _ := strconv.Atoi(in.Event.UserID)
			switch next := last[in.Event.OrderID]; {
			case n > next:
				t.Errorf("%s: %d came when it was %d's turn", in.Event.OrderID, n, next)
			case n == next:
				last[in.Event.OrderID]++
				done++
			} // else it is delivered again, after a rebalance
		}
		return results
	}
	table := bus.Table{bus.On(handler)}
	f.consume(table)
	f.numbered(keys, 0, each/2)
	second := f.consume(table)
	f.numbered(keys, each/2, each)
	require.NoError(t, second.stop())
	testkit.Eventually(t, func() error {
		mu.Lock()
		defer mu.Unlock()
		if done < each*len(keys) {
			return fmt.Errorf("%d of %d messages are handled", done, each*len(keys))
		}
		return nil
	})
}

func TestAFailingMessageHoldsUpNoOtherKeyOfItsPartition(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	keys := keysNamed("k", 40)
	got := make(chan string, 1000)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		if in.Event.OrderID == "held" {
			return bus.Result{Err: errors.New("not now")}
		}
		got <- in.Event.OrderID
		return bus.Result{}
	}))
	f.publish("held")
	f.publish(keys...)
	waiting := map[string]bool{}
	for _, key := range keys {
		waiting[key] = true
	}
	for len(waiting) > 1 { // one key may share the lane of the failing one
		delete(waiting, next(t, got))
	}
}

// What is unfinished is read again by whoever comes next, however much after it was finished.
func TestACrashRepeatsFromTheOldestUnfinishedMessage(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	keys := keysNamed("k", 40)
	got := make(chan string, 1000)
	first := f.consume(one(func(ctx context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		if in.Event.OrderID == "held" {
			return bus.Result{Err: errors.New("never")}
		}
		got <- in.Event.OrderID
		return bus.Result{}
	}), func(cfg *bus.ConsumerConfig) { cfg.DrainTimeout = time.Millisecond })
	f.publish("held")
	f.publish(keys...)
	for range len(keys) - 1 {
		next(t, got)
	}
	require.NoError(t, first.stop())

	again := make(chan string, 1000)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		again <- in.Event.OrderID
		return bus.Result{}
	}))
	seen := map[string]bool{}
	for len(seen) < len(keys)+1 {
		seen[next(t, again)] = true
	}
	require.True(t, seen["held"])
}

func TestWhatArrivesWhileABatchRunsIsTheNextBatch(t *testing.T) {
	t.Parallel()
	f := setup(t, 4)
	sizes, finish := make(chan int, 1000), make(chan struct{})
	c := f.consume(bus.Table{bus.On(func(_ context.Context, batch []bus.In[messages.OrderPlaced]) []bus.Result {
		sizes <- len(batch)
		<-finish
		return make([]bus.Result, len(batch))
	})})
	f.publish("lone")
	require.Equal(t, 1, next(t, sizes), "a lone message waits for nobody")
	keys := keysNamed("k", 20)
	f.publish(keys...)
	// Those whose lanes are apart are in work now, and wait for the batch.
	testkit.Eventually(t, func() error {
		if waiting := c.InWork(); waiting < 15 {
			return fmt.Errorf("%d messages are in work", waiting)
		}
		return nil
	})
	close(finish)
	require.GreaterOrEqual(t, next(t, sizes), 14)
}

func TestAPoisonMessageInABatchFailsAlone(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"permanent": func() error { return fault.New("contradicts_state", "no") },
		"panic":     func() error { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, 4)
			keys := keysNamed("k", 300)
			begun, open := make(chan struct{}, 1000), make(chan struct{})
			var mu sync.Mutex
			handled := map[string]bool{}
			f.consume(bus.Table{bus.On(func(_ context.Context, batch []bus.In[messages.OrderPlaced]) []bus.Result {
				begun <- struct{}{}
				<-open
				results := make([]bus.Result, len(batch))
				for i, in := range batch {
					if in.Event.OrderID == "poison" {
						results[i].Err = fail()
					}
				}
				mu.Lock()
				defer mu.Unlock()
				for i, in := range batch {
					if results[i].Err == nil {
						handled[in.Event.OrderID] = true
					}
				}
				return results
			})})
			f.publish(keys[:150]...)
			next(t, begun)
			f.publish("poison")
			f.publish(keys[150:]...)
			close(open)
			require.Equal(t, "poison", string(next(t, f.parked.ch).record.Key))
			testkit.Eventually(t, func() error {
				mu.Lock()
				defer mu.Unlock()
				if len(handled) != len(keys) {
					return fmt.Errorf("%d of %d are handled", len(handled), len(keys))
				}
				return nil
			})
			require.Len(t, f.parked.all(), 1)
		})
	}
}
