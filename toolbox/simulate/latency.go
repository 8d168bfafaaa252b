package simulate

import (
	"math"
	"sync"
	"time"
)

// The buckets of latencies. Each is one percent wider than the one before, from a microsecond to more than an hour.
const (
	bucketGrowth = 1.01
	buckets      = 2250
)

// latencies counts durations in bounded memory. The zero value is empty. It is safe for concurrent use.
type latencies struct {
	mu     sync.Mutex
	counts [buckets]int64
	total  int64
	most   time.Duration
}

// add counts one duration. A negative one, from clocks that differ, counts as 0.
func (l *latencies) add(d time.Duration) {
	d = max(d, 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := 0
	if us := float64(d) / float64(time.Microsecond); us > 1 {
		bucket = min(int(math.Ceil(math.Log(us)/math.Log(bucketGrowth))), buckets-1)
	}
	l.counts[bucket]++
	l.total++
	l.most = max(l.most, d)
}

// Latency describes durations in milliseconds. Percentiles are too high by one percent at most, Max is exact.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (l *latencies) summary() Latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Latency{Count: l.total, P50: l.percentile(0.50), P95: l.percentile(0.95), P99: l.percentile(0.99), Max: milliseconds(l.most)}
}

// percentile returns a duration in milliseconds that a share of all durations does not exceed. It is called with mu
// held.
func (l *latencies) percentile(share float64) float64 {
	if l.total == 0 {
		return 0
	}
	wanted, seen := int64(math.Ceil(share*float64(l.total))), int64(0)
	for bucket, count := range l.counts {
		if seen += count; seen >= wanted {
			upper := time.Duration(math.Pow(bucketGrowth, float64(bucket)) * float64(time.Microsecond))
			return milliseconds(min(upper, l.most))
		}
	}
	return milliseconds(l.most)
}

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}
