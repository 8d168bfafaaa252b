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

// memory is the one budget in bytes for the records of all instances and the bodies of all requests. It counts and
// never waits: a caller without room answers with an error or tries again. It is safe for concurrent use.
type memory struct {
	limit int
	mu    sync.Mutex
	used  int
}

// take reserves bytes, or returns false when they are not free. A piece larger than the whole budget fits when it is
// alone, or it would never fit.
func (m *memory) take(bytes int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used > 0 && m.used+bytes > m.limit {
		return false
	}
	m.used += bytes
	return true
}

// add counts bytes that are in memory already, even beyond the limit. A negative number gives bytes back.
func (m *memory) add(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used += bytes
}

// full reports whether the budget is used up, so that fetching must wait.
func (m *memory) full() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used >= m.limit
}

// share is the part of the memory that one connection to Kafka uses for fetched records. Once closed it takes no more,
// since fetches of the old client may still arrive.
//
//	take ──> ahead (inflated, in the client) ── handedOver ──> held (buffer, answer) ── settle ──> free
type share struct {
	of     *memory
	mu     sync.Mutex
	ahead  int // of records that the client has not handed over
	held   int // of records that it has handed over
	closed bool
}

// take reserves memory for a batch before it is inflated. franz-go calls it from its own goroutines.
func (s *share) take(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.of.take(bytes) {
		return false
	}
	s.ahead += bytes
	return true
}

// handedOver moves the bytes of the client's records to the instance. plain is the size of batches that are not
// compressed: take was not called for them.
func (s *share) handedOver(plain int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.of.add(plain)
		s.held, s.ahead = s.held+s.ahead+plain, 0
	}
}

// settle frees the memory of all records that were handed over, except left. A record keeps its whole inflated batch in
// memory. So settle copies the records in left when they are at most half of it, and otherwise counts the batch on.
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

// close gives all memory back. Records that are still in use are garbage soon: their client is closed.
func (s *share) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of.add(-s.held - s.ahead)
	s.held, s.ahead, s.closed = 0, 0, true
}

// holds reports whether the share has any bytes.
func (s *share) holds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held+s.ahead > 0
}

// errNoMemory ends the reading of a body when the budget is used up.
var errNoMemory = errors.New("the budget of memory is used up")

// noMemory is the answer when the budget is used up. A retry helps: bodies end, and records without a reader are
// dropped.
func noMemory() error {
	return failed(http.StatusServiceUnavailable, "HTTP 503 Service Unavailable: other requests and consumers use up the memory of this server (--memory): try again")
}

// bodyCost is how many bytes of memory each byte of a body costs: the body, the decoder's copy, the records and their
// batch.
const bodyCost = 4

// charged is a body whose memory is reserved before it is read: all of it at once when its length is known, else piece
// by piece. Reserving at once rejects a body early, before half of it has used memory in vain.
type charged struct {
	io.ReadCloser
	of    *memory
	known int // bytes that are reserved and not read yet; below 0: to be reserved by the first Read
	paid  int
}

// charge makes the request's body reserve memory while it is read. The caller must call release when the answer was
// sent.
func (m *memory) charge(r *http.Request, most int64) (release func()) {
	c := &charged{ReadCloser: r.Body, of: m}
	if r.ContentLength > 0 && r.ContentLength <= most {
		c.known = -int(r.ContentLength)
	}
	r.Body = c
	return func() { m.add(-c.paid) }
}

// Read reads the body. It returns errNoMemory, and no bytes, when the budget has no room for them.
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

// pay reserves the cost of so many bytes of the body.
func (c *charged) pay(bytes int) bool {
	if !c.of.take(bodyCost * bytes) {
		return false
	}
	c.paid += bodyCost * bytes
	return true
}
