package httpx

import (
	"sync"
	"time"
)

// seldomEvery is how often Seldom lets the same thing be said.
const seldomEvery = 5 * time.Second

// Seldom lets be said every few seconds what happens many times a second. The zero value is ready. Safe for concurrent use.
type Seldom struct {
	mu    sync.Mutex
	said  time.Time
	times int
}

// Now counts one more and reports whether it is time to say so, and how many there were since it was said last.
func (s *Seldom) Now(now time.Time) (times int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times++
	if now.Sub(s.said) < seldomEvery {
		return 0, false
	}
	times, s.times, s.said = s.times, 0, now
	return times, true
}
