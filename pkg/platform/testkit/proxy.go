package testkit

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy stands in front of a server and misbehaves as a network or a machine does: it hangs, refuses, cuts, or loses an answer.
// A connection behaves as the proxy did when the connection was opened, except that Hang also reaches those that are open.
// All methods are safe for concurrent use. Between two calls of Hang there must be a Resume.
type Proxy struct {
	// Close ends all connections and takes no more. Call it before closing a pool that uses the proxy: the pool would wait.
	Close func()

	l     net.Listener
	ended chan struct{}
	all   sync.WaitGroup

	mu      sync.Mutex
	target  string
	hung    chan struct{} // closed while hanging
	refuses bool
	last    []byte // see LoseAnswerTo
	conns   []net.Conn
	taken   int // connections since the last Cut
}

// NewProxy starts a proxy in front of the server of a database URL. It ends with the test.
func NewProxy(t testing.TB, databaseURL string) *Proxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: u.Host, l: l, ended: make(chan struct{}), hung: make(chan struct{})}
	p.Close = sync.OnceFunc(p.end)
	p.all.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// end is Close: it returns when the last goroutine of the proxy has ended, so goleak finds none.
func (p *Proxy) end() {
	close(p.ended)
	_ = p.l.Close()
	p.Cut()
	p.all.Wait()
}

// Cut ends the connections that are open, and begins to count anew.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns, p.taken = nil, 0
}

// Connections returns how many connections were tried since the last Cut.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// Hang passes nothing on any more, for connections that are open and for new ones. New ones are still accepted, as by a machine
// that is too busy: only a time-out reveals it.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.hung)
}

// Refuse closes new connections at once.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = true
}

// LoseAnswerTo passes new connections on up to the request that has last in it. The server gets that request, and the
// connection is closed in place of its answer.
func (p *Proxy) LoseAnswerTo(last []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = last
}

// Resume passes new connections on again. Those that hung stay silent until they are cut.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hung, p.refuses, p.last = make(chan struct{}), false, nil
}

// Lead makes new connections lead to the server of another database URL, as when an address moves. Those that are open stay.
func (p *Proxy) Lead(databaseURL string) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = u.Host
}

// Through returns a database URL that leads through the proxy.
func (p *Proxy) Through(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return databaseURL
	}
	u.Host = p.l.Addr().String()
	return u.String()
}

// accept takes connections until the listener is closed. A server that cannot be reached closes the client's connection.
func (p *Proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target, refuses := p.target, p.refuses
		p.taken++
		p.mu.Unlock()
		if refuses {
			_ = client.Close()
			continue
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.connect(client, server)
	}
}

// connect passes between the two sides, unless the proxy ended meanwhile.
func (p *Proxy) connect(client, server net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended:
		_, _ = client.Close(), server.Close()
		return
	default:
	}
	p.conns = append(p.conns, client, server)
	hung, last, lost := p.hung, p.last, make(chan struct{})
	p.all.Go(func() { p.requests(server, client, hung, last, lost) })
	p.all.Go(func() { p.answers(client, server, hung, lost) })
}

// part bounds one read, in bytes. A request that LoseAnswerTo finds has to come in one read.
const part = 64 << 10

// requests copies from the client to the server, and closes lost when it passes a request that has last in it. Its end is the
// end of what the server reads: a request that was passed on is still handled.
func (p *Proxy) requests(server, client net.Conn, hung <-chan struct{}, last []byte, lost chan<- struct{}) {
	lose := sync.OnceFunc(func() { close(lost) })
	buf := make([]byte, part)
	for {
		n, err := client.Read(buf)
		if p.hangs(hung) {
			return
		}
		if last != nil && bytes.Contains(buf[:n], last) {
			lose()
		}
		if _, writeErr := server.Write(buf[:n]); err != nil || writeErr != nil {
			_ = server.(*net.TCPConn).CloseWrite()
			return
		}
	}
}

// answers copies from the server to the client. The end of the server is the end of both. An answer that is lost ends the
// client alone, whose end requests passes on.
func (p *Proxy) answers(client, server net.Conn, hung, lost <-chan struct{}) {
	defer server.Close()
	defer client.Close()
	buf := make([]byte, part)
	for {
		n, err := server.Read(buf)
		if p.hangs(hung) {
			return
		}
		select {
		case <-lost:
			_ = client.Close()
		default:
			if _, writeErr := client.Write(buf[:n]); writeErr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hangs reports whether the connection hangs. If so, it returns only when the proxy has ended: until then, neither side gets
// anything, not even the end of the other.
func (p *Proxy) hangs(hung <-chan struct{}) bool {
	select {
	case <-hung:
		<-p.ended
		return true
	default:
		return false
	}
}
