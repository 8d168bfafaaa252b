package report_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/report"
)

func TestSummaries(t *testing.T) {
	t.Parallel()
	require.Equal(t, report.Summary{Median: 3, Min: 1, Max: 9, N: 3}, report.Summarize([]float64{9, 1, 3}))
	require.Equal(t, report.Summary{Median: 2.5, Min: 1, Max: 4, N: 4}, report.Summarize([]float64{4, 2, 3, 1}))
	require.Zero(t, report.Summarize(nil))
}

func TestRatios(t *testing.T) {
	t.Parallel()
	r, ok := report.Ratio(6, 4)
	require.True(t, ok)
	require.InDelta(t, 1.5, r, 1e-9)
	for _, none := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		_, ok := report.Ratio(1, none)
		require.False(t, ok, "%v", none)
	}
	// Only what was measured in the same round is compared.
	require.Equal(t, []float64{2, 4}, report.Ratios(map[int]float64{1: 4, 2: 8, 3: 1}, map[int]float64{1: 2, 2: 2, 4: 1}))
}
