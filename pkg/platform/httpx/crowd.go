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

// The reasons for refusing a client. They are the values of the metric's label cause, so dashboards depend on them.
const (
	causeConnections = "connections" // more connections than there is memory for: one that did nothing was closed
	causeRequests    = "requests"    // more requests in work than there is memory for
	causeWaiting     = "waiting"     // more requests that wait for news than there is memory for
	causeQueue       = "queue"       // the service could not have started the request in time
)

var causes = []string{causeConnections, causeRequests, causeWaiting, causeQueue}

// class is the bound under which a connection's request counts.
type class uint8

const (
	none    class = iota
	reading       // its body is on its way: it holds a little memory and no place among those in work
	inWork
	waiting
)

// health are the paths that are answered however large the crowd is: an orchestrator would kill a busy service that does not
// answer them. healthAtOnce bounds them, so that they cannot be the crowd themselves.
var health = map[string]bool{"/livez": true, "/readyz": true, "/metrics": true}

const healthAtOnce = 64

// crowd bounds how many connections and requests a server holds, and refuses the rest before they cost anything. A request
// moves through these classes, each with its own bound:
//
//	           no body ────────────────┐
//	none ──> reading (body arrives) ──> inWork <──> waiting (for news) ──> none
//	            │ no place in work when the body is whole: 503
//	            │ so slow that another body gets its room: 408
//	            └──> none
//
// All methods are safe for concurrent use, except those that need mu, which guards the counts and the lines. leave returns a
// request's places however its handler ends, a panic included, so no place is lost.
type crowd struct {
	holds    capacity
	leftover time.Duration // as in limits
	pause    time.Duration // the idle of limits
	log      *slog.Logger
	moved    chan struct{} // has a value when a connection may have made room; door.Accept waits for it
	seldom   Seldom
	early    *Early // may be nil
	counts   map[string]prometheus.Counter

	mu          sync.Mutex
	connections int
	fresh       line // connections that have sent no whole header yet
	idle        line // connections without a request
	reading     line // connections that send a body
	requests    int  // of the class inWork
	bodies      int  // bytes that the requests of the class reading may hold
	waiting     int  // of the class waiting
	asked       int  // requests for the health paths, at this moment
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

// connectionKey is the context key of a request's connection. Handlers reach their connection through it, for example in Wait.
type connectionKey struct{}

func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// Address returns the client's IP address of a request's context, "" outside of a request. Behind a proxy it is the proxy's.
func Address(ctx context.Context) string {
	conn, _ := ctx.Value(connectionKey{}).(net.Conn)
	if conn == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}

func connectionOf(ctx context.Context) *connection {
	one, _ := ctx.Value(connectionKey{}).(*connection)
	return one
}

// admit passes requests to next while there is room for them. Every other request is answered 503 before its body is read, so
// a refusal costs no memory for the body. Requests of a server other than ours pass unbounded: tests call handlers directly.
func (c *crowd) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := connectionOf(r.Context())
		switch {
		case one == nil: // the request came through another server
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

// ask counts a request for a health path in (1) or out (-1), and reports whether there was room.
func (c *crowd) ask(more int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if more > 0 && c.asked >= healthAtOnce {
		return false
	}
	c.asked += more
	return true
}

// errNoRoom ends the reading of a body when there is no place in work for its request. strictBody answers it with 503.
var errNoRoom = errors.New("too many requests are in work")

// enter counts a request in, and reports whether there was room. A request with a body takes its place in work when its body
// is whole, so a slow body blocks no other request.
//
// Without room for one more body, the oldest body on its way is ended, if it is older than the capacity's patience. Its read
// fails as by a deadline, and its request is answered 408. A body gets the room for the length in its header. A body of
// unknown length gets the room for maxBody, because it may become that long.
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
	one.hurry = func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) } // a time long past: the read ends at once
	c.stand(one, &c.reading)
	r.Body = &body{ReadCloser: r.Body, of: one}
	return true
}

// full reports whether there is no place in work. c.mu is held.
func (c *crowd) full() bool { return c.holds.requests > 0 && c.requests >= c.holds.requests }

// bodyEnded moves a request whose body ended with io.EOF to those in work, and returns io.EOF, or errNoRoom when there is no
// place. After another error the request holds no place: it can only be answered. A second end of the same body changes nothing.
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

// leave counts a request out at the end of its handler, in any class.
func (c *crowd) leave(one *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(one)
	c.pressure.answered(time.Now())
}

// drop returns the places of a request of any class. c.mu is held. The class becomes none, so a second drop returns
// nothing again.
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

// body is a request's body that reports its end to the crowd. From its end on the request is no longer ended for others.
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
//
// done takes the place in work back even when all are taken. The request has its result by then, and refusing it would waste
// the work, so the bound may be exceeded for a moment. A ctx without a connection of this package is never refused.
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

// move changes a request between inWork and waiting. c.mu is held.
func (c *crowd) move(one *connection, to class) {
	if one.class != inWork && one.class != waiting || one.class == to {
		return // the request has ended meanwhile, or has the class already
	}
	more := 1
	if to == inWork {
		more = -1
	}
	one.class = to
	c.waiting += more
	c.requests -= more
}

// TooBusy is the 503 problem for a request that the service could not start in time. It promises the client that nothing was
// begun, so the caller must not have begun anything. after is how long the requests before it will take. Retry-After adds the
// clients that were refused just before, because they come again first.
func TooBusy(ctx context.Context, after time.Duration) error {
	seconds := wholeSeconds(after)
	if one := connectionOf(ctx); one != nil {
		seconds = one.crowd.turnedAway(causeQueue, after)
	}
	return Unavailable(tooBusy, seconds)
}

const tooBusy = "the service is too busy: nothing was begun; try again"

// refuse answers 503 at once. It reads a body that is still on its way, for the time leftover, only to use the connection again.
// When the body does not end in that time, refuse closes the connection. An EventSource gets an empty stream instead of 503.
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
	panic(http.ErrAbortHandler) // closes the connection: net/http would take the rest of the body for the next request
}

// refusal is the body of every 503 for a busy server, made once: a refusal has to be much cheaper than a request.
var refusal = fmt.Sprintf("{\"title\":%q,\"status\":%d,\"detail\":%q}\n",
	http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable, tooBusy)

// turnedAway counts a refused client and returns its Retry-After in seconds. The value is computed before the client counts, so
// it is for the clients before this one.
func (c *crowd) turnedAway(cause string, after time.Duration) (seconds int) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	seconds = wholeSeconds(after + c.pressure.backlog(now))
	c.count(cause, now)
	return seconds
}

// count counts a refused client, and logs every few seconds how many there were. c.mu is held. A closed connection adds no
// pressure: it had no request, so its client gets no Retry-After and may never come again.
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
