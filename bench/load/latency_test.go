package load_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/load"
)

func TestPercentilesAreTheNearestRank(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1)*time.Millisecond)
	}
	for share, want := range map[float64]int{0: 1, 0.5: 50, 0.95: 95, 0.99: 99, 0.991: 100, 1: 100} {
		require.Equal(t, time.Duration(want)*time.Millisecond, load.Percentile(hundred, share), "%v", share)
	}
	require.Equal(t, 7*time.Second, load.Percentile([]time.Duration{7 * time.Second}, 0.01))
	require.Zero(t, load.Percentile(nil, 0.5))
}

func TestLatenciesAreMillisecondsOfUnsortedTimes(t *testing.T) {
	t.Parallel()
	times := []time.Duration{4 * time.Millisecond, 500 * time.Microsecond, 2 * time.Millisecond}
	require.Equal(t, load.Latency{P50: 2, P95: 4, P99: 4, P999: 4, Max: 4, N: 3}, load.Latencies(times))
	require.Equal(t, 4*time.Millisecond, times[0], "the times stay as they were")
	require.Zero(t, load.Latencies(nil))
}
