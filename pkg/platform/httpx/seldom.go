package httpx

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// seldomEvery is how often Seldom lets the same line be logged.
const seldomEvery = 5 * time.Second

// Seldom lets a line be logged every few seconds whose event happens many times a second. The zero value is ready. Safe for concurrent use.
type Seldom struct {
	mu    sync.Mutex
	said  time.Time
	times int
}

// Now counts one more event and reports whether to log it, and how many there were since the last line.
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

// Warn logs the text with how often it was to be logged since the last time, and the last cause.
func (s *Seldom) Warn(log *slog.Logger, text string, err error) {
	if n, ok := s.Now(time.Now()); ok {
		log.Warn(fmt.Sprintf("%s: %d requests heard it since this was said last", text, n), "err", err)
	}
}
