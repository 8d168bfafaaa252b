package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Target is where orders are placed.
type Target struct {
	Addresses []string                               // host:port each; connections are spread over them
	Path      string                                 // "" = /orders
	Read      bool                                   // GET instead of POST, for Crowd
	Body      func(n int) []byte                     // of the nth order
	Place     func(ctx context.Context, n int) error // places the nth order another way than HTTP, when set
	// Answered gets the answer to the nth order, or why there is none, when set. The order is not asked for again then.
	Answered func(n, status int, body []byte, err error)
	// Patience is how late an order may be asked for in the open loop; a later one is left out. 0 = any time.
	Patience time.Duration
}

// Placed is what came of placing orders.
type Placed struct {
	Orders   int             // taken
	Refused  int             // answers 429 and 503; each was asked for again
	First    time.Time       // when the first one was sent
	Last     time.Time       // when the last one was answered
	Intended []time.Time     // open loop: when each order was due
	Answers  []time.Duration // how long each answer took, from sending (closed loop) or from when it was due (open loop)
}

// Rate returns orders taken per second.
func (p Placed) Rate() float64 {
	if seconds := p.Last.Sub(p.First).Seconds(); seconds > 0 {
		return float64(p.Orders) / seconds
	}
	return 0
}

// retryPause is how long a client waits before it asks again for what was refused.
const retryPause = 20 * time.Millisecond

// Closed places orders first to first+n-1, clients at a time, each as soon as its last one was answered.
func Closed(ctx context.Context, to Target, clients, first, n int) (Placed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	placed := Placed{Orders: n, Answers: make([]time.Duration, n)}
	var next, refused atomic.Int64
	var wg sync.WaitGroup
	placed.First = time.Now()
	for client := range min(clients, n) {
		wg.Go(func() {
			c, err := to.connect(ctx, client)
			if err != nil {
				cancel(err)
				return
			}
			defer c.close()
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				began := time.Now()
				again, err := c.place(ctx, first+i)
				if err != nil {
					cancel(err)
					return
				}
				refused.Add(int64(again))
				placed.Answers[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	placed.Last = time.Now()
	placed.Refused = int(refused.Load())
	return placed, context.Cause(ctx)
}

// Open places orders first to first+n-1 at random moments (a Poisson process, the same in every run), rate a second on the
// average, whatever comes of them. Up to clients requests are under way at a time; what is due while all of them are is
// late, and its time counts from when it was due.
func Open(ctx context.Context, to Target, clients, first, n int, rate float64) (Placed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	placed := Placed{Orders: n, Answers: make([]time.Duration, n), Intended: make([]time.Time, n)}
	due := make(chan int, n)
	var refused atomic.Int64
	var wg sync.WaitGroup
	var connected sync.WaitGroup
	connected.Add(clients)
	for client := range clients {
		wg.Go(func() {
			c, err := to.connect(ctx, client)
			connected.Done()
			if err != nil {
				cancel(err)
				return
			}
			defer c.close()
			for i := range due {
				if to.Patience > 0 && time.Since(placed.Intended[i]) > to.Patience {
					continue
				}
				again, err := c.place(ctx, first+i)
				if err != nil {
					cancel(err)
					return
				}
				refused.Add(int64(again))
				placed.Answers[i] = time.Since(placed.Intended[i])
			}
		})
	}
	connected.Wait()
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	at := time.Now()
	placed.First = at
	for i := range n {
		at = at.Add(time.Duration(rng.ExpFloat64() / rate * float64(time.Second)))
		placed.Intended[i] = at
		if !wait(ctx, time.Until(at)) {
			break
		}
		due <- i
	}
	close(due)
	wg.Wait()
	placed.Last = time.Now()
	placed.Refused = int(refused.Load())
	return placed, context.Cause(ctx)
}

// placer places orders one after the other.
type placer struct {
	target Target
	conn   *conn // nil: Target.Place
}

func (t Target) connect(ctx context.Context, client int) (*placer, error) {
	if t.Place != nil {
		return &placer{target: t}, nil
	}
	if t.Path == "" {
		t.Path = "/orders"
	}
	c, err := dial(ctx, t.Addresses[client%len(t.Addresses)], "POST "+t.Path)
	return &placer{target: t, conn: c}, err
}

func (p *placer) close() {
	if p.conn != nil {
		p.conn.close()
	}
}

// place insists until the order is taken, and returns how often it was refused.
func (p *placer) place(ctx context.Context, n int) (refused int, err error) {
	if p.conn == nil {
		return 0, p.target.Place(ctx, n)
	}
	body := p.target.Body(n)
	if p.target.Answered != nil {
		return 0, p.once(ctx, n, body)
	}
	for {
		status, err := p.conn.post(ctx, body)
		switch {
		case err != nil:
			return refused, fmt.Errorf("place order %d: %w", n, err)
		case status == http.StatusAccepted || status == http.StatusOK || status == http.StatusCreated:
			return refused, nil
		case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
			refused++
			if !wait(ctx, retryPause) {
				return refused, context.Cause(ctx)
			}
		default:
			return refused, fmt.Errorf("place order %d: answered %d", n, status)
		}
	}
}

// once asks for an order and hands the answer over.
func (p *placer) once(ctx context.Context, n int, body []byte) error {
	status, err := p.conn.post(ctx, body)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		p.conn.used = time.Time{} // the next order gets a new connection
	}
	p.target.Answered(n, status, p.conn.body, err)
	return nil
}

// wait reports whether ctx is still alive after d.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
