// Package stats is the harness's arithmetic.
package stats

import (
	"math"
	"slices"
	"time"
)

// Summary is what is told about the rounds of one figure.
type Summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// Summarize sums figures up. Of none, everything is 0.
func Summarize(figures []float64) Summary {
	if len(figures) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(figures))
	return Summary{Median: median(sorted), Min: sorted[0], Max: sorted[len(sorted)-1], N: len(sorted)}
}

// median of sorted figures: the middle one, or the mean of the two in the middle.
func median(sorted []float64) float64 {
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Ratio returns a/b, and false when b is no measure to divide by.
func Ratio(a, b float64) (float64, bool) {
	if b <= 0 || math.IsNaN(a) || math.IsNaN(b) || math.IsInf(b, 0) {
		return 0, false
	}
	return a / b, true
}

// Ratios returns the ratios of figures that were measured in the same round. Rounds that only one of them has are left out.
func Ratios(a, b map[int]float64) []float64 {
	var found []float64
	for round, x := range a {
		if y, both := b[round]; both {
			if r, ok := Ratio(x, y); ok {
				found = append(found, r)
			}
		}
	}
	slices.Sort(found)
	return found
}

// Latency is a distribution of times, in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
	N    int     `json:"n"`
}

// Latencies sums times up.
func Latencies(times []time.Duration) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	sorted := slices.Sorted(slices.Values(times))
	at := func(share float64) float64 { return Millis(Percentile(sorted, share)) }
	return Latency{P50: at(0.50), P95: at(0.95), P99: at(0.99), P999: at(0.999), Max: Millis(sorted[len(sorted)-1]), N: len(sorted)}
}

// Percentile returns the smallest of the sorted times that at least such a share of them does not exceed (nearest rank).
func Percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Millis returns a time in milliseconds.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
