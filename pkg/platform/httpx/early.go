package httpx

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Early refuses requests of one method and path for as long as Busy says that they could not be started in time. Busy
// returns how long the requests that wait already will take.
type Early struct {
	Method, Path string
	Busy         func() (after time.Duration, busy bool)
}

// refuses reports, from its first line alone, whether a request is refused, and for which cause.
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
	// settleEvery is how often a connection's deadlines are set while net/http does not see its requests.
	settleEvery = time.Second
	// takeWithin is how long a client may take to read a refusal.
	takeWithin = 5 * time.Second
	// sendWithin is how long the body of a refused request may take. The pause before the next request is that of limits.
	sendWithin = time.Minute
)

// Read implements net.Conn for net/http. A request that is to be refused is answered here, at a fraction of the cost in
// net/http, which keeps waiting for a request and never has this one. Only a connection whose first
// request has been answered gets such refusals, because net/http measures the time for the first one from the beginning.
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

// answer sends the refusal.
func (c *connection) answer() error {
	if err := c.settle(); err != nil {
		return err
	}
	_, err := c.Write(c.refusal)
	return err
}

// settle sets the deadlines for what comes next: the rest of a body, or another request.
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

// refuseEarly reports whether the request is refused, and then counts it and puts the answer into c.refusal.
func (c *crowd) refuseEarly(one *connection, h *head) bool {
	cause, after, refused := c.refuses(h.method, h.path)
	if !refused {
		return false
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if one.in != &c.idle { // net/http has begun to wait for no request yet
		return false
	}
	c.stand(one, &c.idle) // it did something just now
	seconds := wholeSeconds(after + c.pressure.backlog(now))
	c.count(cause, now)
	one.refusal = c.answers.at(now, seconds)
	return true
}

// answers keeps the bytes of the refusal that is given now. They are the same for a second.
type answers struct {
	second int64
	after  int
	bytes  []byte
}

func (a *answers) at(now time.Time, after int) []byte {
	if second := now.Unix(); a.bytes == nil || a.second != second || a.after != after {
		a.second, a.after = second, after
		a.bytes = fmt.Appendf(nil, "HTTP/1.1 503 %s\r\nContent-Type: application/problem+json\r\nDate: %s\r\nRetry-After: %s\r\nContent-Length: %d\r\n\r\n%s",
			http.StatusText(http.StatusServiceUnavailable), now.UTC().Format(http.TimeFormat), strconv.Itoa(after), len(refusal), refusal)
	}
	return a.bytes
}
