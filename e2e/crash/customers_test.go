//go:build crash

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pasdetrois/e2e/purchase"
	"pasdetrois/toolbox/client"
)

const (
	shoppers = 8 // at the same time, each with one order at a time

	// What a shopper waits for its order before it goes on to the next: while a service is dead, work piles up.
	orderPatience = time.Second
)

// customers place orders, and cancel some, each in a closed loop. A request without an answer, or with one that says that
// it was not the request's fault, is sent again as it is until it is answered.
type customers struct {
	client *client.Client
	seed   uint64

	mu     sync.Mutex
	bought []purchase.Purchase

	again   atomic.Int64 // requests sent again
	known   atomic.Int64 // answers that were given before
	settled atomic.Int64 // orders that their shopper saw settled
}

// shop runs until stop ends; then every shopper finishes with the order in hand, unless ctx ends before.
func (c *customers) shop(ctx, stop context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, shoppers)
	for n := range shoppers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(c.seed, uint64(n)))
			for i := 0; stop.Err() == nil && errs[n] == nil; i++ {
				errs[n] = c.buy(ctx, rng, purchase.Wish(rng, fmt.Sprintf("shopper%d-%05d", n, i)))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (c *customers) buy(ctx context.Context, rng *rand.Rand, p purchase.Purchase) error {
	order := p.Order()
	times := 1
	if rng.IntN(100) < 5 {
		times = 2 // as if the first answer had been lost
	}
	for range times {
		if err := c.insist(ctx, func() error { return c.place(ctx, order) }); err != nil {
			return fmt.Errorf("place order %s: %w", p.ID, err)
		}
	}
	if rng.IntN(100) < 15 && p.SKU != purchase.Scarce {
		if err := pause(ctx, time.Duration(rng.IntN(200))*time.Millisecond); err != nil {
			return err
		}
		err := c.insist(ctx, func() error {
			_, err := c.client.Cancel(ctx, p.ID)
			return err
		})
		if err != nil && client.StatusOf(err) != http.StatusConflict { // it had failed before
			return fmt.Errorf("cancel order %s: %w", p.ID, err)
		}
		p.Cancelled = err == nil
	}
	c.mu.Lock()
	c.bought = append(c.bought, p)
	c.mu.Unlock()
	return c.watch(ctx, p.ID)
}

func (c *customers) place(ctx context.Context, order client.NewOrder) error {
	_, answer, err := c.client.Place(ctx, order, client.PlaceOptions{IdempotencyKey: "place-" + order.OrderID})
	if answer.Header.Get("Idempotency-Replayed") != "" {
		c.known.Add(1)
	}
	return err
}

// insist sends a request until it is answered with something that sending it again would not change.
func (c *customers) insist(ctx context.Context, send func() error) error {
	for {
		err := send()
		var unreachable *client.UnreachableError
		if !errors.As(err, &unreachable) && client.StatusOf(err) < http.StatusInternalServerError {
			return err
		}
		c.again.Add(1)
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// watch waits until the order is settled, or patience is at its end.
func (c *customers) watch(ctx context.Context, id string) error {
	for deadline := time.Now().Add(orderPatience); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		order, err := c.client.Order(ctx, id, left)
		if err == nil && order.Settled() {
			c.settled.Add(1)
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
