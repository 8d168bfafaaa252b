package testkit

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy stands in front of a server and can make it hang: connections stay open and nothing comes through, as when a
// machine stands still or a network drops everything.
type Proxy struct {
	// Close ends all connections and takes no more. Call it before what uses them is closed: a pool would wait for them.
	Close func()

	l     net.Listener
	ended chan struct{}
	all   sync.WaitGroup

	mu     sync.Mutex
	target string
	hung   chan struct{} // closed while hanging
	conns  []net.Conn
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

func (p *Proxy) end() {
	close(p.ended)
	_ = p.l.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.all.Wait()
}

// Hang stops passing anything on, for connections that are open and for new ones.
func (p *Proxy) Hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.hung)
}

// Resume lets new connections work again. Those that hung stay silent for ever.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hung = make(chan struct{})
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

func (p *Proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		select {
		case <-p.ended:
			p.mu.Unlock()
			_, _ = client.Close(), server.Close()
			return
		default:
		}
		p.conns = append(p.conns, client, server)
		hung := p.hung
		p.mu.Unlock()
		p.all.Go(func() { p.pass(server, client, hung) })
		p.all.Go(func() { p.pass(client, server, hung) })
	}
}

// pass copies from one side to the other. The end of one is the end of both, unless it hangs: then nobody hears of it.
func (p *Proxy) pass(to, from net.Conn, hung <-chan struct{}) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-hung:
			<-p.ended
			return
		default:
		}
		if err == nil {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}
