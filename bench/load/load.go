// Package load places orders over HTTP: as many as the clients can (closed loop), or at a given rate (open loop). It is the
// same for every arm, and uses little processor time, because it shares the processors with the programs that it measures.
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

// Target is where orders are placed.
type Target struct {
	Addresses []string                               // host:port each; connections are spread over them
	Body      func(n int) []byte                     // of the nth order
	Place     func(ctx context.Context, n int) error // when set, places the nth order by another way than HTTP
	// Answered, when set, receives the answer to the nth order, or the error. The order is not sent again then.
	Answered func(n, status int, body []byte, err error)
	// Patience is how late an order may be sent in the open loop. A later one is left out. 0 = no limit.
	Patience time.Duration
}

// Placed is the outcome of a loop.
type Placed struct {
	Orders   int             // accepted
	Refused  int             // answers 429 and 503; each of these orders was sent again
	First    time.Time       // when the first order was sent
	Last     time.Time       // when the last answer came
	Intended []time.Time     // open loop: when each order was due
	Answers  []time.Duration // of each order, from when it was sent (closed loop) or due (open loop)
}

// Rate returns the accepted orders per second.
func (p Placed) Rate() float64 {
	if seconds := p.Last.Sub(p.First).Seconds(); seconds > 0 {
		return float64(p.Orders) / seconds
	}
	return 0
}

// retryPause is how long a client waits before it sends a refused order again.
const retryPause = 20 * time.Millisecond

// Closed places the orders first to first+n-1. Each client sends its next order as soon as its last one is answered.
func Closed(ctx context.Context, to Target, clients, first, n int) (Placed, error) {
	var next atomic.Int64
	placed := Placed{Orders: n, Answers: make([]time.Duration, n), First: time.Now()}
	l := begin(ctx, to, min(clients, n), first, &placed, func() (int, time.Time, bool) {
		i := int(next.Add(1)) - 1
		return i, time.Now(), i < n
	})
	return placed, l.end()
}

// Open places the orders first to first+n-1 at random moments, rate a second on average: a Poisson process, the same in
// every run. At most clients requests run at a time. An order that is due while all clients are busy is sent late, and its
// time counts from when it was due.
func Open(ctx context.Context, to Target, clients, first, n int, rate float64) (Placed, error) {
	placed := Placed{Orders: n, Answers: make([]time.Duration, n), Intended: make([]time.Time, n)}
	due := make(chan int, n)
	l := begin(ctx, to, clients, first, &placed, func() (int, time.Time, bool) {
		for i := range due {
			if to.Patience == 0 || time.Since(placed.Intended[i]) <= to.Patience {
				return i, placed.Intended[i], true
			}
		}
		return 0, time.Time{}, false
	})
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

// loop is the clients of one Closed or Open.
type loop struct {
	ctx       context.Context
	cancel    context.CancelCauseFunc
	placed    *Placed
	connected sync.WaitGroup // all clients
	clients   sync.WaitGroup
	refused   atomic.Int64
}

// begin starts the clients. next returns the next order and the moment from which its time counts, or false at the end.
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

// end waits for the clients and returns the first error.
func (l *loop) end() error {
	defer l.cancel(nil)
	l.clients.Wait()
	l.placed.Last, l.placed.Refused = time.Now(), int(l.refused.Load())
	return context.Cause(l.ctx)
}

func (t Target) connect(ctx context.Context, client int) (*Conn, error) {
	if t.Place != nil {
		return &Conn{}, nil
	}
	return Dial(ctx, t.Addresses[client%len(t.Addresses)], "POST /orders")
}

// place sends the order until it is accepted, and returns how often it was refused.
func (t Target) place(ctx context.Context, c *Conn, n int) (refused int, err error) {
	if t.Place != nil {
		return 0, t.Place(ctx, n)
	}
	body := t.Body(n)
	for {
		status, err := c.Send(ctx, body)
		switch {
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
