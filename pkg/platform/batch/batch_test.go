package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"pasdetrois/pkg/platform/batch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a Batcher whose batches wait for a ticket before they are handled.
type bench struct {
	*batch.Batcher[int, error]
	mu      sync.Mutex
	batches [][]int
	started chan struct{}
	tickets chan struct{}
	bad     map[int]bool // fails every batch that it is in
	panics  map[int]bool
}

var errBad = errors.New("bad")

func setup(t *testing.T, limit int, change ...func(*batch.Config[int, error])) *bench {
	t.Helper()
	b := &bench{started: make(chan struct{}, 1000), tickets: make(chan struct{}, 1000), bad: map[int]bool{}, panics: map[int]bool{}}
	cfg := batch.Config[int, error]{Max: limit, Failed: func(err error) bool { return err != nil },
		Handle: func(ctx context.Context, batch []int) []error {
			b.mu.Lock()
			b.batches = append(b.batches, batch)
			b.mu.Unlock()
			b.started <- struct{}{}
			select {
			case <-b.tickets:
			case <-ctx.Done():
			}
			outs := make([]error, len(batch))
			for _, n := range batch {
				if b.panics[n] {
					panic(fmt.Sprintf("%d", n))
				}
				if b.bad[n] || ctx.Err() != nil {
					for i := range outs {
						outs[i] = errBad
					}
				}
			}
			return outs
		}}
	for _, c := range change {
		c(&cfg)
	}
	b.Batcher = batch.New(cfg)
	t.Cleanup(b.Close)
	return b
}

func (b *bench) seen() [][]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.batches)
}

// do calls in the background and sends the answer to the channel returned.
func (b *bench) do(ctx context.Context, n int) <-chan error {
	answered := make(chan error, 1)
	go func() {
		defer func() {
			if p, ok := recover().(*batch.Panic); ok {
				answered <- p
			}
		}()
		out, err := b.Do(ctx, n)
		answered <- errors.Join(out, err)
	}()
	return answered
}

func TestWhatWaitsTogetherIsHandledTogetherAndALoneCallAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 4)
		first := b.do(t.Context(), 0)
		synctest.Wait()
		require.Equal(t, [][]int{{0}}, b.seen(), "a lone call waits for nobody")
		var rest []<-chan error
		for n := 1; n <= 6; n++ {
			rest = append(rest, b.do(t.Context(), n))
			synctest.Wait() // one after the other, so that their order is known
		}
		require.Len(t, b.seen(), 1, "one batch at a time")
		for range 3 {
			b.tickets <- struct{}{}
		}
		for _, answered := range append(rest, first) {
			require.NoError(t, <-answered)
		}
		require.Equal(t, [][]int{{0}, {1, 2, 3, 4}, {5, 6}}, b.seen())
	})
}

func TestOneBadCallFailsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 256)
		b.bad[7], b.panics[9] = true, true
		var answers [20]<-chan error
		gate := b.do(t.Context(), 100)
		synctest.Wait()
		for n := range answers {
			answers[n] = b.do(t.Context(), n)
		}
		synctest.Wait()
		close(b.tickets)
		require.NoError(t, <-gate)
		for n, answered := range answers {
			err := <-answered
			switch n {
			case 7:
				require.ErrorIs(t, err, errBad)
			case 9:
				var p *batch.Panic
				require.ErrorAs(t, err, &p)
				require.Equal(t, "9", p.Value)
				require.Contains(t, p.Stack, "batch_test.go")
			default:
				require.NoError(t, err, n)
			}
		}
		require.Len(t, b.seen()[1], 20, "they were one batch at first")
	})
}

func TestACallThatIsAloneSharesItsBatchWithNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 256)
		first := b.do(t.Context(), 0)
		synctest.Wait()
		second := b.do(t.Context(), 1)
		synctest.Wait()
		alone := make(chan error, 1)
		go func() {
			out, err := b.DoAlone(t.Context(), 2)
			alone <- errors.Join(out, err)
		}()
		synctest.Wait()
		last := b.do(t.Context(), 3)
		synctest.Wait()
		close(b.tickets)
		for _, answered := range []<-chan error{first, second, alone, last} {
			require.NoError(t, <-answered)
		}
		require.Equal(t, [][]int{{0}, {1}, {2}, {3}}, b.seen())
	})
}

func TestACallerThatGoesAwayIsNotHandledAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 256)
		first := b.do(t.Context(), 0)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		gone, stays := b.do(ctx, 1), b.do(t.Context(), 2)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-gone, context.Canceled)
		close(b.tickets)
		require.NoError(t, <-first)
		require.NoError(t, <-stays)
		require.Equal(t, [][]int{{0}, {2}}, b.seen())
	})
}

func TestSeveralWorkersHandleBatchesAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 256, func(cfg *batch.Config[int, error]) { cfg.Workers = 2 })
		first := b.do(t.Context(), 0)
		synctest.Wait()
		second := b.do(t.Context(), 1)
		synctest.Wait()
		third := b.do(t.Context(), 2)
		synctest.Wait()
		require.ElementsMatch(t, [][]int{{0}, {1}}, b.seen())
		close(b.tickets)
		for _, answered := range []<-chan error{first, second, third} {
			require.NoError(t, <-answered)
		}
	})
}

func TestACallThatFindsTooManyWaitingIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 256, func(cfg *batch.Config[int, error]) { cfg.Waiting = 2 })
		answers := []<-chan error{b.do(t.Context(), 0)}
		synctest.Wait()
		answers = append(answers, b.do(t.Context(), 1), b.do(t.Context(), 2))
		synctest.Wait()
		require.ErrorIs(t, <-b.do(t.Context(), 3), batch.ErrFull)
		close(b.tickets)
		for _, answered := range answers {
			require.NoError(t, <-answered)
		}
	})
}

func TestABatchEndsAfterItsTimeoutAndWhenClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, 256)
		began := time.Now()
		require.ErrorIs(t, <-b.do(context.Background(), 0), errBad)
		require.Equal(t, 30*time.Second, time.Since(began))

		answered := b.do(context.Background(), 1)
		synctest.Wait()
		b.Close()
		require.ErrorIs(t, <-answered, errBad)
	})
}

func TestAWrongNumberOfAnswersIsAPanic(t *testing.T) {
	t.Parallel()
	c := batch.New(batch.Config[int, int]{Handle: func(context.Context, []int) []int { return nil }})
	defer c.Close()
	require.PanicsWithError(t, "1 calls were answered with 0 answers", func() { _, _ = c.Do(t.Context(), 1) })
}

func TestEveryCallIsAnsweredOnceUnderLoad(t *testing.T) {
	t.Parallel()
	var largest atomic.Int64
	c := batch.New(batch.Config[int, int]{Max: 16,
		Observe: func(size int) { largest.Store(max(largest.Load(), int64(size))) },
		Handle: func(_ context.Context, batch []int) []int {
			outs := make([]int, len(batch))
			for i, n := range batch {
				outs[i] = -n
			}
			return outs
		}})
	defer c.Close()
	var callers sync.WaitGroup
	for k := range 64 {
		callers.Go(func() {
			for i := range 500 {
				n := k*1000 + i
				out, err := c.Do(t.Context(), n)
				if err != nil || out != -n {
					t.Errorf("%d was answered with %d, %v", n, out, err)
				}
			}
		})
	}
	callers.Wait()
	require.LessOrEqual(t, largest.Load(), int64(16))
}

func BenchmarkBatcher(b *testing.B) {
	c := batch.New(batch.Config[int, int]{Handle: func(_ context.Context, batch []int) []int { return batch }})
	defer c.Close()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Do(b.Context(), 1); err != nil {
				b.Error(err)
			}
		}
	})
}
