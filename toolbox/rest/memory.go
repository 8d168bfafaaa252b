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

// take reserves bytes, or returns false when they are not free. A piece larger than the whole budget fits when it is alone.
func (m *memory) take(bytes int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used > 0 && m.used+bytes > m.limit {
		return false
	}
	m.used += bytes
	return true
}

// add counts bytes that are in memory already; bytes below 0 are given back.
func (m *memory) add(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used += bytes
}

// full reports whether fetching must wait.
func (m *memory) full() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used >= m.limit
}

// share is the part of the memory that one connection to Kafka uses for fetched records. Once closed it takes no more.
type share struct {
	of     *memory
	mu     sync.Mutex
	ahead  int // of records that the client has not handed over
	held   int // of records that it has handed over
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

// handedOver is called when the client has handed over its records. plain are the bytes of batches that are not compressed:
// take was not called for them.
func (s *share) handedOver(plain int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.of.add(plain)
		s.held, s.ahead = s.held+s.ahead+plain, 0
	}
}

// settle is called when only these records are left of all that were handed over. A record keeps its whole inflated batch in
// memory, so a few that are left of many are copied.
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

// errNoMemory ends the reading of a body.
var errNoMemory = errors.New("the budget of memory is used up")

// noMemory is the answer when the budget is used up. A retry helps: bodies end, and records that no client reads are dropped.
func noMemory() error {
	return failed(http.StatusServiceUnavailable, "HTTP 503 Service Unavailable: other requests and consumers use up the memory of this server (--memory): try again")
}

// bodyCost is how many bytes of memory a byte of a body takes: the body, the decoder's copy, the records, and their batch.
const bodyCost = 4

// charged is a body whose memory is reserved before it is read: all of it when its length is known.
type charged struct {
	io.ReadCloser
	of    *memory
	known int // bytes that are reserved and not read yet
	paid  int
}

// charge reserves memory while the request's body is read. release gives it back.
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
