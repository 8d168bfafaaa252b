//go:build crowd && !linux

package crowd

import (
	"context"
	"sync"
	"time"

	"pasdetrois/bench/load"
	"pasdetrois/pkg/platform/wait"
)

// flood sends rate orders a second for some time, over up to n connections. Refused and unanswered orders do not slow it down.
func flood(ctx context.Context, to target, n int, rate float64, d time.Duration) rush {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	t := &tally{began: time.Now()}
	due := make(chan int)
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			c := &client{to: to}
			defer c.close()
			for order := range due {
				c.send(ctx, t, order)
			}
		})
	}
	unsent := 0
	for sent := 0; ctx.Err() == nil; {
		for should := int(time.Since(t.began).Seconds() * rate); sent < should; sent++ {
			select {
			case due <- sent:
			default:
				unsent++
			}
		}
		wait.Sleep(ctx, time.Millisecond)
	}
	close(due)
	all.Wait()
	found := t.done()
	found.unsent = unsent
	return found
}
