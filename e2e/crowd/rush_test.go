//go:build crowd

package crowd

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"pasdetrois/bench/load"
	"pasdetrois/pkg/platform/wait"
)

// target is what a rush sends to one service.
type target struct {
	address string
	path    string
	body    func(n int) []byte // of the nth order; nil = GET
}

// retryPause is how long a client waits after a failed connection.
const retryPause = 20 * time.Millisecond

// rush is the outcome of clients that send each order once: a refused order stays refused.
type rush struct {
	accepted []int           // accepted orders, by the second in which the answer came
	refused  []time.Duration // how long each refusal took (429, 503), sorted
	answers  []time.Duration // how long each acceptance took, sorted
	other    int             // answers with another status
	cut      int             // requests without an answer
	unsent   int             // open loop: orders that were due while every connection was busy
}

// taken returns how many orders were accepted.
func (r rush) taken() (n int) {
	for _, each := range r.accepted {
		n += each
	}
	return n
}

// tally collects a rush.
type tally struct {
	mu    sync.Mutex
	began time.Time
	rush  rush
}

func (t *tally) note(status int, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		t.rush.cut++
	case status == http.StatusAccepted || status == http.StatusOK:
		t.rush.answers = append(t.rush.answers, took)
		second := int(time.Since(t.began).Seconds())
		for len(t.rush.accepted) <= second {
			t.rush.accepted = append(t.rush.accepted, 0)
		}
		t.rush.accepted[second]++
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		t.rush.refused = append(t.rush.refused, took)
	default:
		t.rush.other++
	}
}

func (t *tally) done() rush {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.rush.refused)
	slices.Sort(t.rush.answers)
	return t.rush
}

// client sends one request after the other over one connection, which it opens again after an error.
type client struct {
	to   target
	conn *load.Conn
}

func (c *client) send(ctx context.Context, t *tally, order int) (accepted bool) {
	began := time.Now()
	method, body := "GET ", []byte(nil)
	if c.to.body != nil {
		method, body = "POST ", c.to.body(order)
	}
	if c.conn == nil {
		conn, err := load.Dial(ctx, c.to.address, method+c.to.path)
		if err != nil {
			t.note(0, 0, err)
			wait.Sleep(ctx, retryPause)
			return false
		}
		c.conn = conn
	}
	status, err := c.conn.Send(ctx, body)
	if ctx.Err() == nil {
		t.note(status, time.Since(began), err)
	}
	if err != nil {
		c.close()
	}
	return status == http.StatusAccepted || status == http.StatusOK
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	c.conn = nil
}

// crowd is n clients for some time, each with one request at a time. A client that is refused pauses before its next one.
func crowd(ctx context.Context, to target, n int, d time.Duration) rush {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	t := &tally{began: time.Now()}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c := &client{to: to}
			defer c.close()
			for order := i; ctx.Err() == nil; order += n {
				if !c.send(ctx, t, order) {
					wait.Sleep(ctx, 10*retryPause)
				}
			}
		})
	}
	all.Wait()
	return t.done()
}

// slow holds n connections open until ctx ends, and opens closed ones again. Each sends header, the beginning of a request.
func slow(ctx context.Context, address string, n int, header []byte) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				var d net.Dialer
				conn, err := d.DialContext(ctx, "tcp", address)
				if err != nil {
					wait.Sleep(ctx, retryPause)
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
