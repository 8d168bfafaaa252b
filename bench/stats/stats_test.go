package stats_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/stats"
)

func TestPercentilesAreTheNearestRank(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1)*time.Millisecond)
	}
	for share, want := range map[float64]int{0: 1, 0.5: 50, 0.95: 95, 0.99: 99, 0.991: 100, 1: 100} {
		require.Equal(t, time.Duration(want)*time.Millisecond, stats.Percentile(hundred, share), "%v", share)
	}
	require.Equal(t, 7*time.Second, stats.Percentile([]time.Duration{7 * time.Second}, 0.01))
	require.Zero(t, stats.Percentile(nil, 0.5))
}

func TestLatenciesAreMillisecondsOfUnsortedTimes(t *testing.T) {
	t.Parallel()
	times := []time.Duration{4 * time.Millisecond, 500 * time.Microsecond, 2 * time.Millisecond}
	require.Equal(t, stats.Latency{P50: 2, P95: 4, P99: 4, P999: 4, Max: 4, N: 3}, stats.Latencies(times))
	require.Equal(t, 4*time.Millisecond, times[0], "the times stay as they were")
	require.Zero(t, stats.Latencies(nil))
}

func TestSummaries(t *testing.T) {
	t.Parallel()
	require.Equal(t, stats.Summary{Median: 3, Min: 1, Max: 9, N: 3}, stats.Summarize([]float64{9, 1, 3}))
	require.Equal(t, stats.Summary{Median: 2.5, Min: 1, Max: 4, N: 4}, stats.Summarize([]float64{4, 2, 3, 1}))
	require.Zero(t, stats.Summarize(nil))
}

func TestRatios(t *testing.T) {
	t.Parallel()
	r, ok := stats.Ratio(6, 4)
	require.True(t, ok)
	require.InDelta(t, 1.5, r, 1e-9)
	for _, none := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		_, ok := stats.Ratio(1, none)
		require.False(t, ok, "%v", none)
	}
	// Only what was measured in the same round is compared.
	require.Equal(t, []float64{2, 4}, stats.Ratios(map[int]float64{1: 4, 2: 8, 3: 1}, map[int]float64{1: 2, 2: 2, 4: 1}))
}
