package kafka

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPausesGrowToABoundAndEndWithTheirContext(t *testing.T) {
	t.Parallel()
	var grown []time.Duration
	for attempt := range 6 {
		grown = append(grown, Backoff(attempt+1, time.Second, 7*time.Second))
	}
	require.Equal(t, []time.Duration{1e9, 2e9, 4e9, 7e9, 7e9, 7e9}, grown)
	require.Equal(t, 7*time.Second, Backoff(1<<40, time.Second, 7*time.Second))
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		require.True(t, Pause(t.Context(), time.Hour))
		require.Equal(t, time.Hour, time.Since(begin))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, Pause(ctx, time.Hour))
		require.Equal(t, time.Hour+time.Second, time.Since(begin))
	})
}
