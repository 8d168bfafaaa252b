package httpx

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// connection is the connection of one client, with its request in work: HTTP/1 has one at a time.
type connection struct {
	net.Conn
	crowd *crowd

	// Of Read alone. net/http reads from one goroutine at a time.
	frame    frame
	dropping int // bytes of a refused request's body that are still to come
	// emptyLines says that a refused request may have empty lines behind it, which net/http takes after a POST as well.
	emptyLines bool
	settled    time.Time // when the deadlines were set for a refusal
	sending    bool      // the deadline for reading is that of a body
	refusal    []byte    // the answer to a refused request

	// Guarded by crowd.mu.
	in         *line
	prev, next *connection // in the line
	since      time.Time   // when it came into the line
	class      class       // of the request
	size       int         // bytes that count while its body is on its way
	hurry      func()      // ends the reading of the request's body
	gone       bool
}

// line is connections that do nothing, in the order in which they began to.
type line struct {
	first, last *connection
	length      int
}

func (l *line) push(one *connection) {
	one.in, one.prev, one.next = l, l.last, nil
	if l.last == nil {
		l.first = one
	} else {
		l.last.next = one
	}
	l.last = one
	l.length++
}

func (l *line) remove(one *connection) {
	if one.prev == nil {
		l.first = one.next
	} else {
		one.prev.next = one.next
	}
	if one.next == nil {
		l.last = one.prev
	} else {
		one.next.prev = one.prev
	}
	one.in, one.prev, one.next = nil, nil, nil
	l.length--
}

// CloseWrite lets net/http end a connection so that the client still reads the last answer.
func (c *connection) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// door is a listener that accepts no more connections than the crowd has room for. Without room it closes the connection that
// has done nothing for the longest time: one without a whole header, or without a request. A connection with a request in work
// is never closed. While none can be closed, new clients wait in the listener's queue.
type door struct {
	net.Listener
	crowd  *crowd
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	for {
		again := d.crowd.makeRoom(time.Now())
		if again == 0 {
			break
		}
		timer := time.NewTimer(again)
		select {
		case <-timer.C:
		case <-d.crowd.moved:
		case <-d.closed:
		}
		timer.Stop()
		select {
		case <-d.closed:
			return nil, net.ErrClosed
		default:
		}
	}
	conn, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return d.crowd.arrive(conn), nil
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Listener.Close()
}

// makeRoom returns 0 when one more connection may come in, else after which time to ask again.
func (c *crowd) makeRoom(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	full := c.holds.connections > 0 && c.connections >= c.holds.connections
	slow := c.fresh.first
	switch {
	case c.holds.fresh > 0 && c.fresh.length >= c.holds.fresh:
	case !full:
		return 0
	case slow == nil || c.idle.first != nil && c.idle.first.since.Before(slow.since):
		slow = c.idle.first
	}
	if slow == nil {
		return time.Second // or when a connection moves
	}
	if wait := c.holds.patience - now.Sub(slow.since); wait > 0 {
		return wait
	}
	c.forget(slow)
	c.count(causeConnections, now)
	_ = slow.Close() // its goroutine notices
	return 0
}

// closeFresh closes the connections that have sent no whole header.
func (c *crowd) closeFresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := c.fresh.first; one != nil; one = c.fresh.first {
		c.forget(one)
		_ = one.Close()
	}
}

// arrive takes up a new connection.
func (c *crowd) arrive(conn net.Conn) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &connection{Conn: conn, crowd: c}
	c.connections++
	c.stand(one, &c.fresh)
	return one
}

// stand puts a connection at the end of a line: from now on it does nothing. A nil line means that it does something.
func (c *crowd) stand(one *connection, in *line) {
	if one.in != nil {
		one.in.remove(one)
	}
	if in != nil {
		one.since = time.Now()
		in.push(one)
	}
}

// forget takes a connection out of the books.
func (c *crowd) forget(one *connection) {
	if !one.gone {
		one.gone = true
		c.connections--
		c.stand(one, nil)
	}
}

// state follows a connection; it is http.Server.ConnState.
func (c *crowd) state(conn net.Conn, state http.ConnState) {
	one, ok := conn.(*connection)
	if !ok {
		return
	}
	c.mu.Lock()
	switch {
	case one.gone:
	case state == http.StateActive:
		c.stand(one, nil)
	case state == http.StateIdle:
		c.stand(one, &c.idle)
	case state == http.StateClosed, state == http.StateHijacked:
		c.forget(one)
	}
	c.mu.Unlock()
	select {
	case c.moved <- struct{}{}:
	default:
	}
}
