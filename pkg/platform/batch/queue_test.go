package batch_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/batch"
)

// queue is a Batcher whose batches take some time for each call.
type queue struct {
	*batch.Batcher[int, error]
	each  time.Duration
	sizes []int
}

// newQueue has one worker, batches of 100 at most, and lets calls wait for 300 ms.
func newQueue(t *testing.T, each time.Duration) *queue {
	t.Helper()
	q := &queue{each: each}
	q.Batcher = batch.New(batch.Config[int, error]{Max: 100, Within: 300 * time.Millisecond, Timeout: time.Hour,
		Handle: func(_ context.Context, batch []int) []error {
			q.sizes = append(q.sizes, len(batch))
			<-time.After(q.each * time.Duration(len(batch)))
			return make([]error, len(batch))
		}})
	t.Cleanup(q.Close)
	return q
}

// call makes n calls at once and returns where their errors come.
func (q *queue) call(n int) <-chan error {
	errs := make(chan error, n)
	for i := range n {
		go func() {
			_, err := q.Do(context.Background(), i)
			errs <- err
		}()
	}
	synctest.Wait()
	return errs
}

func count(errs <-chan error, n int) (fine, full int) {
	for range n {
		if err := <-errs; err == nil {
			fine++
		} else if err == batch.ErrFull {
			full++
		}
	}
	return fine, full
}

func TestWhatCannotBeBegunInTimeNeverIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, time.Second)
		first := q.call(1)
		late := q.call(50)
		require.NoError(t, <-first)
		fine, full := count(late, 50)
		require.Equal(t, 0, fine)
		require.Equal(t, 50, full)
		require.Equal(t, []int{1}, q.sizes)
		require.NoError(t, <-q.call(1), "the next one is begun at once")
	})
}

// Calls are refused at once when the queue is longer than the time that they may wait. As much as one batch may always form.
func TestAQueueIsAsLongAsWhatCanBeBegunInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, time.Millisecond)
		_, busy := q.Busy()
		require.False(t, busy)
		for range 10 { // until it has learned how long a batch takes
			fine, _ := count(q.call(100), 100)
			require.Equal(t, 100, fine)
		}
		first := q.call(1)
		answers := q.call(1000) // 100 a batch, 100 ms each
		after, busy := q.Busy()
		require.True(t, busy)
		require.Equal(t, 400*time.Millisecond, after)
		require.NoError(t, <-first)
		fine, full := count(answers, 1000)
		require.Equal(t, 1000, fine+full)
		require.Equal(t, 300, fine)
		_, busy = q.Busy()
		require.False(t, busy, "it is over")
	})
}

func TestBatchesThatTakeTooLongGetSmallerAndLargeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 20*time.Millisecond) // 2 s for 100
		last := func() int { return slices.Max(q.sizes[len(q.sizes)-10:]) }
		for range 30 {
			count(q.call(100), 100)
		}
		require.LessOrEqual(t, last(), 41, "%v", q.sizes)
		require.GreaterOrEqual(t, last(), 16, "%v", q.sizes)
		q.each = time.Millisecond
		small := len(q.sizes)
		for range 60 {
			count(q.call(100), 100)
		}
		// How many calls wait when a batch begins depends on the scheduler, so not every batch is full.
		require.Greater(t, slices.Max(q.sizes[small:]), 90, "%v", q.sizes)
	})
}
