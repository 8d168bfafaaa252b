//go:build !linux

package load

import (
	"context"
	"sync"
	"time"
)

// Flood sends rate orders a second for some time, over up to n connections. Refused and unanswered orders do not slow it down.
func Flood(ctx context.Context, to Target, n int, rate float64, d time.Duration) Rush {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	to = to.withPath()
	t := &tally{began: time.Now()}
	due := make(chan int)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c := &client{to: to, n: i}
			defer c.close()
			for order := range due {
				c.place(ctx, t, order, time.Now())
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
		wait(ctx, time.Millisecond)
	}
	close(due)
	all.Wait()
	rush := t.done()
	rush.Unsent = unsent
	return rush
}
