package outbox

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestPublishesWhatItIsHandedAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.relay()
	w.start(r)
	for i := range 20 {
		r.Enqueue(w.add(fmt.Sprintf("o%d", i%5), i))
	}
	w.done(20)
	for _, n := range w.kafka.numbers() {
		require.Equal(t, 1, n)
	}
	testkit.Eventually(t, func() error {
		if n := r.memory.len(); n > 0 {
			return fmt.Errorf("%d rows are still in memory", n)
		}
		return nil
	})
	require.Zero(t, r.memory.rows.bytes)
}

func TestRollingBackTakesTheMessagesBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tx, err := w.pool.Begin(t.Context())
	require.NoError(t, err)
	rows := w.addIn(tx, note("o", 1), note("o", 2))
	require.Less(t, rows[0].ID, rows[1].ID)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Zero(t, w.left())
}

func TestAddRefusesWhatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	bad := note("o", 1)
	bad.ID = ""
	var batch pgx.Batch
	require.Error(t, Add(&batch, nil, note("o", 0), bad))
	require.Zero(t, batch.Len(), "all or nothing")
}

func TestKafkaDownThenBackLosesNothingAndKeepsOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.kafka.set(true)
	r := w.relay()
	w.start(r)
	for i := range 30 {
		r.Enqueue(w.add(fmt.Sprintf("o%d", i%3), i))
	}
	testkit.Eventually(t, func() error {
		if n := w.kafka.tried(); n < 6 {
			return fmt.Errorf("tried %d times", n)
		}
		return nil
	})
	require.Equal(t, 30, w.left())
	w.kafka.set(false)
	w.done(30)
	for i := range 3 {
		require.True(t, slices.IsSorted(w.kafka.of(fmt.Sprintf("o%d", i))))
	}
}

func TestOrderOfAKeyIsKept(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.relay()
	w.start(r)
	for i := range 300 {
		r.Enqueue(w.add("o", i))
		if i%50 == 10 {
			w.kafka.set(true)
		} else if i%50 == 40 {
			w.kafka.set(false)
		}
	}
	w.done(300)
	require.True(t, slices.IsSorted(w.kafka.of("o")))
	require.Len(t, w.kafka.of("o"), 300)
}

// Memory that is full leaves rows to the table. Those that come later and do fit must not overtake them.
func TestMemoryIsBoundedAndWhatSpillsKeepsItsOrder(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]func(*Config){
		"rows":  func(c *Config) { c.MaxRows = 4 },
		"bytes": func(c *Config) { c.MaxBytes = 500 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.kafka.gate = make(chan struct{})
			r := w.relay(recoverAtOnce, bound)
			w.start(r)
			for i := range 60 {
				r.Enqueue(w.add(fmt.Sprintf("o%d", i%3), i))
				require.LessOrEqual(t, r.memory.len(), 4)
			}
			close(w.kafka.gate)
			for i := range 60 { // while memory opens again
				r.Enqueue(w.add(fmt.Sprintf("o%d", i%3), 60+i))
			}
			w.done(120)
			for i := range 3 {
				got := w.kafka.of(fmt.Sprintf("o%d", i))
				require.Len(t, got, 40)
				require.True(t, slices.IsSorted(got), "%v", got)
			}
		})
	}
}

func TestTwoRelaysLoseNothingAndHardlyDouble(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var relays []*Relay
	for range 2 {
		pool := w.connect()
		r := w.relay(func(c *Config) { c.Pool, c.Grace = pool, 2*time.Second })
		w.start(r)
		relays = append(relays, r)
	}
	const writers, each = 6, 50
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				row := w.add(fmt.Sprintf("o%d", i), j)
				if i < 4 { // the others' process dies after each commit
					relays[i%2].Enqueue(row)
				}
			}
		})
	}
	wg.Wait()
	w.done(writers * each)
	doubles := 0
	for _, n := range w.kafka.numbers() {
		doubles += n - 1
	}
	require.LessOrEqual(t, doubles, writers*each/20)
	for i := range writers {
		got := w.kafka.of(fmt.Sprintf("o%d", i))
		require.True(t, slices.IsSorted(got), "o%d: %v", i, got)
	}
}

func TestStoppingPublishesWhatIsInMemory(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.kafka.gate = make(chan struct{})
	r := w.relay()
	stop := w.start(r)
	for i := range 10 {
		r.Enqueue(w.add("o", i))
	}
	testkit.Eventually(t, func() error {
		if w.kafka.tried() == 0 {
			return fmt.Errorf("nothing is being published")
		}
		return nil
	})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	testkit.Eventually(t, func() error {
		r.memory.mu.Lock()
		defer r.memory.mu.Unlock()
		if r.memory.state != memoryStopped {
			return fmt.Errorf("it does not drain yet")
		}
		return nil
	})
	select {
	case <-stopped:
		require.Fail(t, "it stopped with messages in memory")
	default:
	}
	close(w.kafka.gate)
	<-stopped
	require.Len(t, w.kafka.of("o"), 10)
	require.Zero(t, w.left())
}

func TestStoppingIsBoundedAndLeavesTheRestInTheTable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.kafka.gate = make(chan struct{}) // hangs
	r := w.relay(func(c *Config) { c.DrainTimeout = 20 * time.Millisecond })
	stop := w.start(r)
	for i := range 10 {
		r.Enqueue(w.add("o", i))
	}
	stop()
	require.Equal(t, 10, w.left())

	close(w.kafka.gate)
	w.run(w.relay(recoverAtOnce))
	w.done(10)
	require.True(t, slices.IsSorted(w.kafka.of("o")))
}

func TestEnqueueBeforeRunIsHarmless(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.relay(recoverAtOnce)
	r.Enqueue(w.add("o", 1))
	w.run(r)
	w.done(1)
}
