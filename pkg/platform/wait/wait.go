// Package wait has the pauses of loops and retries, which end early with their context.
package wait

import (
	"context"
	"time"
)

// Sleep waits d, and reports whether it did: false means that ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
