package wait_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/wait"
)

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		require.True(t, wait.Sleep(t.Context(), time.Hour))
		require.Equal(t, time.Hour, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		require.True(t, wait.Sleep(ctx, 0))
		require.False(t, wait.Sleep(ctx, time.Hour))
		require.Equal(t, time.Second, time.Since(start))
		require.False(t, wait.Sleep(ctx, 0), "it has ended")
	})
}

func TestBackoffDoublesUpToItsEnd(t *testing.T) {
	t.Parallel()
	for attempt, pause := range map[int]time.Duration{0: 50, 1: 50, 2: 100, 3: 200, 6: 1600, 7: 2000, 1 << 40: 2000} {
		require.Equal(t, pause*time.Millisecond, wait.Backoff(attempt, 50*time.Millisecond, 2*time.Second), attempt)
	}
	require.Equal(t, time.Second, wait.Backoff(9, time.Second, time.Second))
}
