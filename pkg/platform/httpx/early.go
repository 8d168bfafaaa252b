package httpx

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Early refuses requests of one method and path while Busy reports that they could not be started in time. Busy returns
// how long the requests that wait already will take. It is called for each such request, from several goroutines, so it must
// be fast. A request that passes may still be refused later: the queue grows meanwhile.
type Early struct {
	Method, Path string
	Busy         func() (after time.Duration, busy bool)
}

// refuses reports whether a request is refused, and for which cause. It needs only the request's first line. The answer
// reserves nothing: see enter.
func (c *crowd) refuses(method, path []byte) (cause string, after time.Duration, refused bool) {
	if c.early != nil && string(method) == c.early.Method && string(path) == c.early.Path {
		if after, refused = c.early.Busy(); refused {
			return causeQueue, after, true
		}
	}
	if health[string(path)] {
		return "", 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return causeRequests, 0, c.full()
}

const (
	// settleEvery is the longest age of a connection's deadlines while net/http does not see its requests. Setting them for every
	// refusal would cost as much as the refusal.
	settleEvery = time.Second
	// takeWithin bounds the time in which a client reads a refusal.
	takeWithin = 5 * time.Second
	// sendWithin bounds the time for the body of a refused request. limits bounds the pause before the next request.
	sendWithin = time.Minute
)

// Read implements net.Conn for net/http. It answers a request that is to be refused here, at a fraction of the cost in
// net/http. net/http keeps waiting for a request, and never sees the refused one. Only a connection whose first request has
// been answered gets such refusals, because net/http measures the time for the first one from the beginning.
//
//	bytes from the client
//	  │ rest of a refused body, empty lines behind it ──> dropped
//	  │ head of a plain request that is refused       ──> dropped, 503 is written, read again
//	  └ everything else                               ──> net/http
//
// Bytes are dropped only where the frame is certain of the requests' borders. A failed write or deadline is returned as a read
// error, and net/http closes the connection.
func (c *connection) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		dropped := min(n, c.dropping)
		c.dropping -= dropped
		for c.emptyLines && dropped < n && (p[dropped] == '\r' || p[dropped] == '\n') {
			dropped++
		}
		n = copy(p, p[dropped:n])
		h := c.frame.next(p[:n])
		c.emptyLines = c.emptyLines && n == 0
		if c.sending && c.dropping == 0 {
			if err := c.settle(); err != nil {
				return n, err
			}
		}
		switch {
		case dropped > 0 && n == 0 && err == nil:
			continue
		case h == nil || !h.plain || !c.crowd.refuseEarly(c, h):
			return n, err
		}
		c.dropping, c.frame.left, c.emptyLines = h.rest, 0, true
		if err != nil {
			return 0, err
		}
		if err := c.answer(); err != nil {
			return 0, err
		}
	}
}

// answer sends the refusal, within takeWithin. It does not wait for the request's body: Read drops that afterwards.
func (c *connection) answer() error {
	if err := c.settle(); err != nil {
		return err
	}
	_, err := c.Write(c.refusal)
	return err
}

// settle sets the deadlines for the next bytes: the rest of a body, or another request. net/http sets its own ones again when
// it sees a request. Young deadlines of the same kind are left as they are.
func (c *connection) settle() error {
	now, sending := time.Now(), c.dropping > 0
	if sending == c.sending && now.Sub(c.settled) <= settleEvery {
		return nil
	}
	c.settled, c.sending = now, sending
	var until time.Time // never
	if sending {
		until = now.Add(sendWithin)
	} else if c.crowd.pause > 0 {
		until = now.Add(c.crowd.pause)
	}
	if err := c.SetReadDeadline(until); err != nil {
		return err
	}
	return c.SetWriteDeadline(now.Add(takeWithin))
}

// refuseEarly reports whether the request is refused, and then counts it and puts the answer into one.refusal. A connection
// that is not idle for net/http is never refused here: two goroutines would write to it.
func (c *crowd) refuseEarly(one *connection, h *head) bool {
	cause, after, refused := c.refuses(h.method, h.path)
	if !refused {
		return false
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if one.in != &c.idle { // net/http does not wait for a request on this connection
		return false
	}
	c.stand(one, &c.idle) // at the end of the line: the client has just sent a request
	seconds := wholeSeconds(after + c.pressure.backlog(now))
	c.count(cause, now)
	one.refusal = c.answers.at(now, seconds)
	return true
}

// answers keeps the bytes of the current refusal. They are the same for all clients within a second, so most refusals build
// nothing. at never changes bytes that it has returned: connections may still be writing them. crowd.mu guards it.
type answers struct {
	second int64
	after  int
	bytes  []byte
}

func (a *answers) at(now time.Time, after int) []byte {
	if second := now.Unix(); a.bytes == nil || a.second != second || a.after != after {
		a.second, a.after = second, after
		a.bytes = fmt.Appendf(nil, "HTTP/1.1 503 %s\r\nCache-Control: no-store\r\nContent-Type: application/problem+json\r\nX-Content-Type-Options: nosniff\r\nDate: %s\r\nRetry-After: %s\r\nContent-Length: %d\r\n\r\n%s",
			http.StatusText(http.StatusServiceUnavailable), now.UTC().Format(http.TimeFormat), strconv.Itoa(after), len(refusal), refusal)
	}
	return a.bytes
}
