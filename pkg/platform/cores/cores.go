// Package cores spreads work that only computes over all processors.
package cores

import (
	"runtime"
	"sync"
)

// Each calls do for 0 to n-1 and returns when all calls have. Each processor gets one run of neighbours, in a goroutine of its own.
func Each(n int, do func(i int)) {
	share := max(1, (n+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var working sync.WaitGroup
	for from := 0; from < n; from += share {
		working.Go(func() {
			for i := from; i < min(from+share, n); i++ {
				do(i)
			}
		})
	}
	working.Wait()
}
