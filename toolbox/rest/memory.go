package rest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	toolkafka "pasdetrois/toolbox/kafka"
)

// memory is the one budget in bytes for the records of all instances and the bodies of all requests.
type memory struct {
	limit int
	mu    sync.Mutex
	used  int
}

// take takes bytes, or returns false when they are not there. What is larger than the whole budget fits when it is alone.
func (m *memory) take(bytes int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used > 0 && m.used+bytes > m.limit {
		return false
	}
	m.used += bytes
	return true
}

// add takes bytes that are in memory already, or gives them back when they are less than 0.
func (m *memory) add(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used += bytes
}

// full reports whether nothing more should be fetched.
func (m *memory) full() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used >= m.limit
}

// share is what one connection to Kafka has of the memory, for the records that it fetched. After its end it takes nothing.
type share struct {
	of     *memory
	mu     sync.Mutex
	ahead  int // of what the client has not handed over
	held   int // of what it has
	closed bool
}

func (s *share) take(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.of.take(bytes) {
		return false
	}
	s.ahead += bytes
	return true
}

// handedOver is called when the client handed over what it had. plain are bytes that nobody asked to take: of batches that
// are not compressed.
func (s *share) handedOver(plain int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.of.add(plain)
		s.held, s.ahead = s.held+s.ahead+plain, 0
	}
}

// settle is called when nothing but these records is left of what was handed over. A record keeps the whole batch that it was inflated with, so few
// that are left of many are copied.
func (s *share) settle(left []*kgo.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	now := toolkafka.Memory(left...)
	if now > s.held/2 && now > 0 {
		return
	}
	for _, r := range left {
		r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
		for n := range r.Headers {
			r.Headers[n].Value = bytes.Clone(r.Headers[n].Value)
		}
	}
	s.of.add(now - s.held)
	s.held = now
}

func (s *share) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of.add(-s.held - s.ahead)
	s.held, s.ahead, s.closed = 0, 0, true
}

// holds reports whether anything is held.
func (s *share) holds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held+s.ahead > 0
}

// errNoMemory is an error of reading a body.
var errNoMemory = errors.New("the budget of memory is used up")

// noMemory says that the budget is used up. That passes: bodies are done with, and what nobody reads is dropped.
func noMemory() error {
	return failed(http.StatusServiceUnavailable, "HTTP 503 Service Unavailable: other requests and consumers use up the memory of this server (--memory): try again")
}

// bodyCost is what a byte of a body costs: the body itself, the decoder's copy, the records, and what is sent of them.
const bodyCost = 4

// charged is a body that is paid for before it is read: all of it when its length is known.
type charged struct {
	io.ReadCloser
	of    *memory
	known int // bytes that are paid for and not read yet
	paid  int
}

// charge makes a request pay for its body. release gives back what it paid.
func (m *memory) charge(r *http.Request, most int64) (release func()) {
	c := &charged{ReadCloser: r.Body, of: m}
	if r.ContentLength > 0 && r.ContentLength <= most {
		c.known = -int(r.ContentLength) // with the first byte
	}
	r.Body = c
	return func() { m.add(-c.paid) }
}

func (c *charged) Read(p []byte) (int, error) {
	if c.known < 0 {
		if !c.pay(-c.known) {
			return 0, errNoMemory
		}
		c.known = -c.known
	}
	n, err := c.ReadCloser.Read(p)
	if more := n - c.known; more > 0 && !c.pay(more) {
		return 0, errNoMemory
	}
	c.known = max(c.known-n, 0)
	return n, err
}

func (c *charged) pay(bytes int) bool {
	if !c.of.take(bodyCost * bytes) {
		return false
	}
	c.paid += bodyCost * bytes
	return true
}
