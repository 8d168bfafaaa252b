//go:build chaos

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"pasdetrois/bench/load"
	"pasdetrois/e2e/purchase"
	"pasdetrois/toolbox/client"
)

const (
	most      = 1_000_000        // orders of a row, more than any has
	atOnce    = 3_000            // customers at a time: while nobody answers, they pile up
	persist   = 60 * time.Second // how long a customer asks again before it gives up
	firstWait = 50 * time.Millisecond
	longWait  = time.Second
)

// customers come at random moments, each for one order. A request without an answer, or with one that says that it was not
// the request's fault, is sent again to the other replica.
type customers struct {
	clients []*client.Client // one for each replica of orders
	seed    uint64
	rate    float64 // a second

	days  int          // how often the shop was opened
	close func() error // returns when the last customer is done

	mu         sync.Mutex
	notes      []*note
	posts      []time.Duration // of every POST that was sent
	busy       int             // answers 429 and 503
	broken     int             // other answers of 500 and more
	unanswered int
	gaveUp     int
}

// open lets customers come until close is called.
func (c *customers) open(ctx context.Context) {
	stop, cancel := context.WithCancel(ctx)
	target := load.Target{Place: func(_ context.Context, n int) error { return c.visit(ctx, n) }}
	ended := make(chan error, 1)
	first := c.days * most
	c.days++
	go func() {
		_, err := load.Open(stop, target, atOnce, first, most, c.rate)
		ended <- err
	}()
	c.close = func() error {
		cancel()
		if err := <-ended; ctx.Err() != nil || !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
}

// visit is one customer's.
func (c *customers) visit(ctx context.Context, number int) error {
	rng := rand.New(rand.NewPCG(c.seed, uint64(number)))
	n := &note{Purchase: purchase.Wish(rng, fmt.Sprintf("chaos-%08d", number))}
	n.User = fmt.Sprintf("customer-%08d", number)
	n.Email = n.User + "@example.com"
	key := "place-" + n.ID
	request := n.Order()
	if rng.IntN(3) == 0 { // the service chooses the id
		n.ID, request.OrderID = "", ""
	}
	times := 1
	if rng.IntN(100) < 5 {
		times = 2 // as if the first answer had been lost
	}
	for range times {
		err := c.insist(ctx, rng, true, func(to *client.Client) error {
			placed, _, err := to.Place(ctx, request, client.PlaceOptions{IdempotencyKey: key})
			if err == nil {
				n.tell(placed.OrderID)
			}
			return err
		})
		if err != nil && !again(err) {
			n.Refused = client.StatusOf(err)
		}
	}
	var err error
	if n.Taken {
		err = c.afterwards(ctx, rng, n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, n)
	return err
}

// afterwards cancels some orders and looks at others.
func (c *customers) afterwards(ctx context.Context, rng *rand.Rand, n *note) error {
	luck := rng.IntN(100)
	if luck == 50 { // goods for the next ones; nobody counts them, so no answer is needed
		_, _ = c.clients[0].Restock(ctx, purchase.Scarce, 10)
	}
	if luck < 5 && n.SKU != purchase.Scarce {
		if err := pause(ctx, time.Duration(rng.IntN(200))*time.Millisecond); err != nil {
			return err
		}
		err := c.insist(ctx, rng, false, func(to *client.Client) error {
			_, err := to.Cancel(ctx, n.ID)
			return err
		})
		n.Cancelled = err == nil
		n.CancelUnknown = err != nil && again(err) // else it had failed before
		return nil
	}
	if luck >= 95 {
		shown, err := c.clients[rng.IntN(len(c.clients))].Order(ctx, n.ID, 2*time.Second)
		if err == nil && shown.Settled() {
			n.Seen = shown.Status
		}
	}
	return nil
}

// insist sends a request until it is answered with something that sending it again would not change, or persist is over.
func (c *customers) insist(ctx context.Context, rng *rand.Rand, post bool, send func(to *client.Client) error) error {
	to := rng.IntN(len(c.clients))
	wait := firstWait
	for deadline := time.Now().Add(persist); ; {
		began := time.Now()
		err := send(c.clients[to])
		done := c.count(err, post, time.Since(began))
		if done {
			return err
		}
		if time.Now().After(deadline) {
			c.mu.Lock()
			c.gaveUp++
			c.mu.Unlock()
			return err
		}
		to = (to + 1) % len(c.clients)
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, longWait)
	}
}

// count notes an answer and reports whether it is final.
func (c *customers) count(err error, post bool, took time.Duration) (final bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if post {
		c.posts = append(c.posts, took)
	}
	switch status := client.StatusOf(err); {
	case err == nil:
	case status == 0:
		c.unanswered++
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		c.busy++
	case status >= http.StatusInternalServerError:
		c.broken++
	}
	return err == nil || !again(err)
}

// again reports whether the same request may be answered in another way later: it got no answer, or one that says so.
func again(err error) bool {
	var refused *client.Problem
	if !errors.As(err, &refused) {
		return true
	}
	return refused.Status >= http.StatusInternalServerError || refused.Answer.Header.Get("Retry-After") != ""
}

// taken returns how many orders were taken.
func (c *customers) taken() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := 0
	for _, n := range c.notes {
		if n.Taken {
			sum++
		}
	}
	return sum
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
