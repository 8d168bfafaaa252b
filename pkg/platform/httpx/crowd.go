package httpx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The reasons why a client was refused, as the metric names them.
const (
	causeConnections = "connections" // more connections than there is memory for: one that did nothing was closed
	causeRequests    = "requests"    // more requests in work than there is memory for
	causeWaiting     = "waiting"     // more requests that wait for news than there is memory for
	causeQueue       = "queue"       // what was asked for could not be started in time
)

var causes = []string{causeConnections, causeRequests, causeWaiting, causeQueue}

// class is what a connection's request counts as.
type class uint8

const (
	none    class = iota
	reading       // its body is on its way: it holds a little memory and no place among those in work
	inWork
	waiting
)

// health are the paths that are answered however large the crowd is, so many at a time.
var health = map[string]bool{"/livez": true, "/readyz": true, "/metrics": true}

const healthAtOnce = 64

// crowd bounds how many connections and requests a server holds, and refuses the rest before they cost anything. A request
// moves through these classes, each with its own bound:
//
//	           no body ────────────────┐
//	none ──> reading (body arrives) ──> inWork <──> waiting (for news) ──> none
//	            │ no room when the body is whole, or too slow: 503
//	            └──> none
type crowd struct {
	holds    capacity
	leftover time.Duration // as in limits
	pause    time.Duration // the idle of limits
	log      *slog.Logger
	moved    chan struct{} // gets a value when a connection may have made room
	seldom   Seldom
	early    *Early // may be nil
	counts   map[string]prometheus.Counter

	mu          sync.Mutex
	connections int
	fresh       line // have sent no whole header yet
	idle        line // ask nothing
	reading     line // send a body
	requests    int
	bodies      int // bytes
	waiting     int
	asked       int // for their health, at this moment
	pressure    pressure
	answers     answers
}

func newCrowd(within limits, role Role, log *slog.Logger) *crowd {
	c := &crowd{holds: within.holds, leftover: within.leftover, pause: within.idle, early: within.early, log: log,
		moved: make(chan struct{}, 1), counts: map[string]prometheus.Counter{}}
	if within.metrics != nil {
		for _, cause := range causes {
			c.counts[cause] = within.metrics.turnedAway.WithLabelValues(string(role), cause)
		}
	}
	return c
}

// connectionKey is the context key of a request's connection.
type connectionKey struct{}

func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

func connectionOf(ctx context.Context) *connection {
	one, _ := ctx.Value(connectionKey{}).(*connection)
	return one
}

// admit hands requests to next while there is room for them. The rest is answered 503 before its body is read.
func (c *crowd) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := connectionOf(r.Context())
		switch {
		case one == nil: // no request of a server of ours
		case health[r.URL.Path]:
			if !c.ask(1) {
				c.refuse(w, r, causeRequests, 0)
				return
			}
			defer c.ask(-1)
		default:
			if cause, after, refused := c.refuses([]byte(r.Method), []byte(r.URL.Path)); refused {
				c.refuse(w, r, cause, after)
				return
			}
			if !c.enter(one, w, r) {
				c.refuse(w, r, causeRequests, 0)
				return
			}
			defer c.leave(one)
		}
		next.ServeHTTP(w, r)
	})
}

func (c *crowd) ask(more int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if more > 0 && c.asked >= healthAtOnce {
		return false
	}
	c.asked += more
	return true
}

// errNoRoom ends the reading of a body when there is no place in work for its request.
var errNoRoom = errors.New("too many requests are in work")

// enter counts a request in. A request with a body takes its place in work when its body is whole, so a slow body blocks no
// other request. Without room for one more body, the request whose body has taken the longest is refused, if that is longer
// than a client may do nothing.
func (c *crowd) enter(one *connection, w http.ResponseWriter, r *http.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full() {
		return false
	}
	if r.ContentLength == 0 {
		one.class = inWork
		c.requests++
		return true
	}
	size := bodyBytes + maxBody // of unknown length
	if r.ContentLength > 0 {
		size = bodyBytes + int(min(r.ContentLength, maxBody))
	}
	for c.holds.bodies > 0 && c.bodies+size > c.holds.bodies {
		slow := c.reading.first
		if slow == nil || time.Since(slow.since) < c.holds.patience {
			return false
		}
		slow.hurry()
		c.drop(slow)
	}
	one.class, one.size = reading, size
	c.bodies += size
	conn := http.NewResponseController(w)
	one.hurry = func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }
	c.stand(one, &c.reading)
	r.Body = &body{ReadCloser: r.Body, of: one}
	return true
}

// full reports whether there is no place in work. c.mu is held.
func (c *crowd) full() bool { return c.holds.requests > 0 && c.requests >= c.holds.requests }

// bodyEnded moves a request whose body ended with err to those in work, or returns errNoRoom.
func (c *crowd) bodyEnded(one *connection, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one.class != reading {
		return err
	}
	c.drop(one)
	switch {
	case !errors.Is(err, io.EOF):
	case c.full():
		return errNoRoom
	default:
		one.class = inWork
		c.requests++
	}
	return err
}

// leave counts a request out.
func (c *crowd) leave(one *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(one)
	c.pressure.answered(time.Now())
}

// drop takes a request out of the books.
func (c *crowd) drop(one *connection) {
	switch one.class {
	case reading:
		c.bodies -= one.size
	case inWork:
		c.requests--
	case waiting:
		c.waiting--
	}
	one.class, one.hurry = none, nil
	c.stand(one, nil)
}

// body is a request's body. Once it has ended, the request is no longer refused for others.
type body struct {
	io.ReadCloser
	of *connection
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		err = b.of.crowd.bodyEnded(b.of, err)
	}
	return n, err
}

// Wait marks the request of ctx as one that only waits for news, until done is called: its place in work is free for others.
// When ok is false there is no room for more waiting requests: the caller answers at once and must not call done.
func Wait(ctx context.Context) (done func(), ok bool) {
	one := connectionOf(ctx)
	if one == nil {
		return func() {}, true
	}
	c := one.crowd
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds.waiting > 0 && c.waiting >= c.holds.waiting {
		c.count(causeWaiting, time.Now())
		return nil, false
	}
	c.move(one, waiting)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.move(one, inWork)
	}, true
}

func (c *crowd) move(one *connection, to class) {
	if one.class != inWork && one.class != waiting || one.class == to {
		return // it was refused meanwhile, or has the class already
	}
	more := 1
	if to == inWork {
		more = -1
	}
	one.class = to
	c.waiting += more
	c.requests -= more
}

// TooBusy is the 503 problem for a request that could not be started in time. Nothing of it was begun. after is how long the
// requests before it will take; Retry-After says when there is probably room for the client.
func TooBusy(ctx context.Context, after time.Duration) error {
	seconds := wholeSeconds(after)
	if one := connectionOf(ctx); one != nil {
		seconds = one.crowd.turnedAway(causeQueue, after)
	}
	return Unavailable(tooBusy, seconds)
}

const tooBusy = "the service is too busy: nothing was begun; try again"

// refuse answers 503 at once: the body, which may still be on its way, is read only to use the connection again.
func (c *crowd) refuse(w http.ResponseWriter, r *http.Request, cause string, after time.Duration) {
	seconds := c.turnedAway(cause, after)
	conn := http.NewResponseController(w)
	if r.ContentLength != 0 {
		_ = conn.EnableFullDuplex() // else net/http waits for the body before it answers
	}
	if isEventSource(r) {
		refuseStream(w, seconds)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(refusal)))
	h.Set("Retry-After", strconv.Itoa(seconds))
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, refusal)
	if r.ContentLength == 0 {
		return
	}
	_ = conn.Flush()
	_ = conn.SetReadDeadline(time.Now().Add(c.leftover))
	if r.Header.Get("Expect") == "" { // else the body was not sent
		if _, err := io.CopyN(io.Discard, r.Body, maxBody); errors.Is(err, io.EOF) {
			return
		}
	}
	panic(http.ErrAbortHandler) // closes the connection: what comes over it would be taken for the next request
}

var refusal = fmt.Sprintf("{\"title\":%q,\"status\":%d,\"detail\":%q}\n",
	http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable, tooBusy)

// turnedAway counts a refused client and returns its Retry-After.
func (c *crowd) turnedAway(cause string, after time.Duration) (seconds int) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	seconds = wholeSeconds(after + c.pressure.backlog(now))
	c.count(cause, now)
	return seconds
}

// count counts a refused client, and logs every few seconds how many there were. c.mu is held.
func (c *crowd) count(cause string, now time.Time) {
	if cause != causeConnections {
		c.pressure.refused(now)
	}
	if counter := c.counts[cause]; counter != nil {
		counter.Inc()
	}
	if n, ok := c.seldom.Now(now); ok {
		c.log.Warn(fmt.Sprintf("too busy: %d clients were turned away since this was said last", n), "status", cause)
	}
}
