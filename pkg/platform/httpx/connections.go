package httpx

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// connection is the connection of one client, with its request in work: HTTP/1 has one at a time. It stands in at most one
// line of the crowd:
//
//	accepted --> fresh --header--> (no line: in work) --answered--> idle --header--> (no line) ...
//	                                   |    ^
//	                                   v    | the body is whole
//	                                  reading
//
// A connection in a line does nothing, and may be closed, or its body ended, to make room. In work it is left alone.
type connection struct {
	net.Conn
	crowd *crowd

	// Only Read uses these, without a lock: net/http reads from one goroutine at a time.
	frame    frame
	dropping int // bytes of a refused request's body that have not come yet, and that net/http must not see
	// emptyLines is true while empty lines may follow a refused request. Some clients send them after a POST, and net/http
	// skips them as well.
	emptyLines bool
	settled    time.Time // when the deadlines were set for a refusal
	sending    bool      // the deadline for reading is that of a body
	refusal    []byte    // the answer to a refused request; shared between connections, so nobody changes its bytes

	// Guarded by crowd.mu.
	in         *line       // nil while the connection does something
	prev, next *connection // in the line
	since      time.Time   // when it came into the line
	class      class       // of the request
	size       int         // bytes that count while its body is on its way
	hurry      func()      // ends the reading of the request's body; nil outside of the class reading
	gone       bool        // counted out already: a closed connection is reported twice, by makeRoom and by net/http
}

// line is a list of connections that do nothing, the longest idle one first. Each operation takes constant time, because it
// runs under crowd.mu for every request. A connection is in one line at most, so the links are in the connection.
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

// CloseWrite closes the direction to the client only, so that the client still reads the last answer. net/http calls this
// method, and would not find it behind the embedded net.Conn.
func (c *connection) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// door is a listener that accepts no more connections than the crowd has room for. Without room it closes the connection that
// has done nothing for the longest time: one without a whole header, or without a request. A connection with a request in work
// is never closed. While no connection can be closed, new clients wait in the listener's queue: the kernel holds them at little
// cost, and they are accepted in their order.
type door struct {
	net.Listener
	crowd  *crowd
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener. It waits until there is room, and only then takes a connection from the queue. Close ends the
// wait with net.ErrClosed.
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

// Close implements net.Listener. It also ends an Accept that waits for room.
func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Listener.Close()
}

// makeRoom returns 0 when one more connection may come in, else the time after which to ask again.
//
// Too many fresh connections: the oldest of them has to go, even below the bound of all connections. Too many in all: the one
// that has been in the line fresh or idle for longest. Each keeps its place for the capacity's patience at least. So a crowd
// of newcomers cannot cut off a client that is still sending its header.
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
		return time.Second // or earlier, when a connection moves: see crowd.moved
	}
	if wait := c.holds.patience - now.Sub(slow.since); wait > 0 {
		return wait
	}
	c.forget(slow)
	c.count(causeConnections, now)
	_ = slow.Close() // net/http's goroutine of the connection ends with a read error
	return 0
}

// closeFresh closes the connections that have sent no whole header. A graceful stop calls it: they have no request to finish.
func (c *crowd) closeFresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := c.fresh.first; one != nil; one = c.fresh.first {
		c.forget(one)
		_ = one.Close()
	}
}

// arrive counts a new connection in. It has sent nothing yet, so it stands among the fresh ones.
func (c *crowd) arrive(conn net.Conn) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &connection{Conn: conn, crowd: c}
	c.connections++
	c.stand(one, &c.fresh)
	return one
}

// stand puts a connection at the end of a line: from now on it does nothing. A nil line means that it does something. c.mu is
// held.
func (c *crowd) stand(one *connection, in *line) {
	if one.in != nil {
		one.in.remove(one)
	}
	if in != nil {
		one.since = time.Now()
		in.push(one)
	}
}

// forget counts a connection out, once however often it is called. c.mu is held.
func (c *crowd) forget(one *connection) {
	if !one.gone {
		one.gone = true
		c.connections--
		c.stand(one, nil)
	}
}

// state moves a connection between the lines as its state in net/http changes; it is http.Server.ConnState. StateNew needs no
// case: arrive has counted the connection. The send to moved never blocks, because one waiting value wakes Accept as well
// as several.
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
