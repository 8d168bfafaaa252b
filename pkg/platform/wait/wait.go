// Package wait has the pauses of loops and of retries. They end early with their context.
package wait

import (
	"context"
	"time"
)

// Sleep waits d, and reports whether it did: false means that ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Backoff returns the pause after a failed attempt, of which 1 is the first: it doubles from first up to most.
func Backoff(attempt int, first, most time.Duration) time.Duration {
	d := first
	for i := 1; i < attempt && d < most; i++ {
		d *= 2
	}
	return min(d, most)
}
