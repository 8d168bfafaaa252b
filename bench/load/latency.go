package load

import (
	"math"
	"slices"
	"time"
)

// Latency is a distribution of times, in milliseconds. Without times it is zero.
type Latency struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
	N    int     `json:"n"`
}

// Latencies returns the distribution of times, which need not be sorted and stay as they are.
func Latencies(times []time.Duration) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	sorted := slices.Sorted(slices.Values(times))
	at := func(share float64) float64 { return Millis(Percentile(sorted, share)) }
	return Latency{P50: at(0.50), P95: at(0.95), P99: at(0.99), P999: at(0.999), Max: at(1), N: len(sorted)}
}

// Percentile returns the smallest of the sorted times that is not below a share of them (nearest rank). It is a
// time that was really measured, never a mean of two.
func Percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Millis returns a time in milliseconds.
func Millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
