// Package load places orders over HTTP: as many as the clients can (closed loop), or at a given rate (open
// loop). It is the same for every arm. It uses little processor time, because it shares the processors with the
// programs that it measures.
//
// A closed loop measures the highest rate: a slow arm slows its clients, too. An open loop measures latency:
// orders are due at moments that no answer delays, and an order's time counts from when it was due. Otherwise
// an arm that stalls would receive fewer orders, and the stall would hardly show.
package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pasdetrois/pkg/platform/wait"
)

// Target is the place of the orders. Its functions are called concurrently by all clients.
type Target struct {
	Addresses []string                               // host:port each; connections are spread over them
	Body      func(n int) []byte                     // JSON of the nth order
	Place     func(ctx context.Context, n int) error // when set, replaces HTTP for the nth order
	// Answered, when set, receives the answer to the nth order, or the error. Then every answer is final: no
	// order is sent again, and no error ends the loop.
	Answered func(n, status int, body []byte, err error)
	// Patience is the longest delay of an order in the open loop. A later order is left out. 0 means no limit.
	Patience time.Duration
}

// Placed is the result of a loop. Its slices are indexed from 0, for the orders from first on.
type Placed struct {
	Orders   int             // the number asked for; with an error, not all were accepted
	Refused  int             // answers 429 and 503; each of these orders was sent again
	First    time.Time       // when the first order was sent
	Last     time.Time       // when the last answer came
	Intended []time.Time     // open loop: when each order was due
	Answers  []time.Duration // of each order, from when it was sent (closed loop) or due (open loop)
}

// Rate returns the accepted orders per second, until the last answer.
func (p Placed) Rate() float64 {
	if seconds := p.Last.Sub(p.First).Seconds(); seconds > 0 {
		return float64(p.Orders) / seconds
	}
	return 0
}

// retryPause is the pause before a client sends a rejected order again. It leaves the arm time to work, and its
// cost is part of the arm's result.
const retryPause = 20 * time.Millisecond

// Closed places the orders first to first+n-1. Each client sends its next order as soon as its last one is
// answered. The first error ends all clients.
func Closed(ctx context.Context, to Target, clients, first, n int) (Placed, error) {
	var next atomic.Int64
	placed := Placed{Orders: n, Answers: make([]time.Duration, n), First: time.Now()}
	l := begin(ctx, to, min(clients, n), first, &placed, func() (int, time.Time, bool) {
		i := int(next.Add(1)) - 1
		return i, time.Now(), i < n
	})
	return placed, l.end()
}

// Open places the orders first to first+n-1 at random moments, rate per second on average. The moments are a
// Poisson process, the same in every run. At most clients requests run at a time. An order that is due while
// all clients are busy is sent late; its time counts from when it was due.
func Open(ctx context.Context, to Target, clients, first, n int, rate float64) (Placed, error) {
	placed := Placed{Orders: n, Answers: make([]time.Duration, n), Intended: make([]time.Time, n)}
	// The channel has room for all orders: the clock must never wait for a client.
	due := make(chan int, n)
	l := begin(ctx, to, clients, first, &placed, func() (int, time.Time, bool) {
		for i := range due {
			if to.Patience == 0 || time.Since(placed.Intended[i]) <= to.Patience {
				return i, placed.Intended[i], true
			}
		}
		return 0, time.Time{}, false
	})
	// Connecting is not part of the first orders' times.
	l.connected.Wait()
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	at := time.Now()
	placed.First = at
	for i := range n {
		at = at.Add(time.Duration(rng.ExpFloat64() / rate * float64(time.Second)))
		placed.Intended[i] = at
		if !wait.Sleep(l.ctx, time.Until(at)) {
			break
		}
		due <- i
	}
	close(due)
	return placed, l.end()
}

// loop is the state that the clients of one Closed or Open share.
type loop struct {
	ctx       context.Context
	cancel    context.CancelCauseFunc
	placed    *Placed
	connected sync.WaitGroup // all clients
	clients   sync.WaitGroup
	refused   atomic.Int64
}

// begin starts the clients. next returns the next order and the moment from which its time counts, or false at
// the end. Each answer has its own place in placed.Answers, so the clients need no lock.
func begin(ctx context.Context, to Target, clients, first int, placed *Placed, next func() (int, time.Time, bool)) *loop {
	l := &loop{placed: placed}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.connected.Add(clients)
	for client := range clients {
		l.clients.Go(func() {
			c, err := to.connect(l.ctx, client)
			l.connected.Done()
			if err != nil {
				l.cancel(err)
				return
			}
			defer c.Close()
			for i, from, more := next(); more; i, from, more = next() {
				refused, err := to.place(l.ctx, c, first+i)
				l.refused.Add(int64(refused))
				if err != nil {
					l.cancel(err)
					return
				}
				placed.Answers[i] = time.Since(from)
			}
		})
	}
	return l
}

// end waits for the clients and returns the first error, or the cause of an ended context.
func (l *loop) end() error {
	defer l.cancel(nil)
	l.clients.Wait()
	l.placed.Last, l.placed.Refused = time.Now(), int(l.refused.Load())
	return context.Cause(l.ctx)
}

// connect opens the connection of a client. Clients are spread evenly over the addresses.
func (t Target) connect(ctx context.Context, client int) (*Conn, error) {
	if t.Place != nil {
		return &Conn{}, nil
	}
	return Dial(ctx, t.Addresses[client%len(t.Addresses)], "POST /orders")
}

// place sends an order until it is accepted, and returns the number of rejections. 429 and 503 mean "later";
// any other status is an error, since the benchmark sends valid orders only.
func (t Target) place(ctx context.Context, c *Conn, n int) (refused int, err error) {
	if t.Place != nil {
		return 0, t.Place(ctx, n)
	}
	body := t.Body(n)
	for {
		status, err := c.Send(ctx, body)
		switch {
		// The cause is the first error of any client, which is more useful than "context canceled".
		case ctx.Err() != nil:
			return refused, context.Cause(ctx)
		case t.Answered != nil:
			if err != nil {
				c.used = time.Time{} // the next order gets a new connection
			}
			t.Answered(n, status, c.body.Bytes(), err)
			return 0, nil
		case err != nil:
			return refused, fmt.Errorf("place order %d: %w", n, err)
		case status == http.StatusAccepted || status == http.StatusOK || status == http.StatusCreated:
			return refused, nil
		case status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable:
			return refused, fmt.Errorf("place order %d: answered %d", n, status)
		}
		refused++
		if !wait.Sleep(ctx, retryPause) {
			return refused, context.Cause(ctx)
		}
	}
}
