package batch_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/batch"
)

// late makes a Batcher of batches that take a second, and of calls that wait for their answer 400 ms longer than they may.
func late(t *testing.T) *batch.Batcher[int, int] {
	c := batch.New(batch.Config[int, int]{Max: 1, Grace: 400 * time.Millisecond, Handle: func(_ context.Context, batch []int) []int {
		<-time.After(time.Second) // of the bubble's clock
		return batch
	}})
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestACallThatWasBegunHearsItsAnswerABitTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out, err := late(t).Do(within(t, 700*time.Millisecond), 7)
		require.NoError(t, err)
		require.Equal(t, 7, out)
		began := time.Now()
		_, err = late(t).Do(within(t, 500*time.Millisecond), 7)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, batch.ErrNotBegun, "it goes on")
		require.Equal(t, 900*time.Millisecond, time.Since(began))
		<-time.After(time.Second)
	})
}

func TestACallThatWasNotBegunInTimeNeverIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := late(t)
		first := make(chan error)
		go func() {
			_, err := c.Do(t.Context(), 1)
			first <- err
		}()
		synctest.Wait()
		began := time.Now()
		_, err := c.Do(within(t, 500*time.Millisecond), 2)
		require.ErrorIs(t, err, batch.ErrNotBegun)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 500*time.Millisecond, time.Since(began), "there is nothing to wait for")
		require.NoError(t, <-first)
	})
}
