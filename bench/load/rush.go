package load

import (
	"context"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Rush is what came of clients that do not insist: what is refused stays refused.
type Rush struct {
	Accepted []int           // orders taken, by the second in which the answer came
	Refused  []time.Duration // how long each refusal took (429, 503), sorted
	Answers  []time.Duration // how long each acceptance took, sorted
	Other    int             // answers with another status
	Cut      int             // requests without an answer
	Unsent   int             // open loop: orders that were due while every connection was busy
}

// Taken returns how many orders were taken.
func (r Rush) Taken() (n int) {
	for _, each := range r.Accepted {
		n += each
	}
	return n
}

// Percentile returns the pth percentile of sorted durations, 0 of none.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(math.Ceil(p/100*float64(len(sorted))))-1)]
}

// tally collects a Rush.
type tally struct {
	mu    sync.Mutex
	began time.Time
	rush  Rush
}

func (t *tally) note(status int, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		t.rush.Cut++
	case status == http.StatusAccepted || status == http.StatusOK:
		t.rush.Answers = append(t.rush.Answers, took)
		second := int(time.Since(t.began).Seconds())
		for len(t.rush.Accepted) <= second {
			t.rush.Accepted = append(t.rush.Accepted, 0)
		}
		t.rush.Accepted[second]++
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		t.rush.Refused = append(t.rush.Refused, took)
	default:
		t.rush.Other++
	}
}

func (t *tally) done() Rush {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.rush.Refused)
	slices.Sort(t.rush.Answers)
	return t.rush
}

// client places one order after the other over one connection, which it makes anew when it was cut.
type client struct {
	to   Target
	n    int
	conn *conn
}

func (c *client) place(ctx context.Context, t *tally, order int, due time.Time) (accepted bool) {
	if c.conn == nil {
		first := "POST "
		if c.to.Read {
			first = "GET "
		}
		conn, err := dial(ctx, c.to.Addresses[c.n%len(c.to.Addresses)], first+c.to.Path)
		if err != nil {
			t.note(0, 0, err)
			wait(ctx, retryPause)
			return false
		}
		c.conn = conn
	}
	var body []byte
	if !c.to.Read {
		body = c.to.Body(order)
	}
	status, err := c.conn.post(ctx, body)
	if ctx.Err() == nil {
		t.note(status, time.Since(due), err)
	}
	if err != nil {
		c.conn.close()
		c.conn = nil
	}
	return status == http.StatusAccepted || status == http.StatusOK
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.close()
	}
}

// Crowd is n clients for some time, each with one order at a time. One that is refused comes again after a moment.
func Crowd(ctx context.Context, to Target, n int, d time.Duration) Rush {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	to = to.withPath()
	t := &tally{began: time.Now()}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c := &client{to: to, n: i}
			defer c.close()
			for order := i; ctx.Err() == nil; order += n {
				if !c.place(ctx, t, order, time.Now()) {
					wait(ctx, 10*retryPause)
				}
			}
		})
	}
	all.Wait()
	return t.done()
}

// Slow holds n connections open until ctx ends, each with a request's header that does not end, and makes those anew that
// are closed. header is what each sends.
func Slow(ctx context.Context, address string, n int, header []byte) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				var d net.Dialer
				conn, err := d.DialContext(ctx, "tcp", address)
				if err != nil {
					wait(ctx, retryPause)
					continue
				}
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				_, _ = conn.Write(header)
				_, _ = conn.Read(make([]byte, 1)) // until it is closed
				stop()
				_ = conn.Close()
			}
		})
	}
	all.Wait()
}

func (t Target) withPath() Target {
	if t.Path == "" {
		t.Path = "/orders"
	}
	return t
}
