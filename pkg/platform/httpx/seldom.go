package httpx

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// seldomEvery is the shortest time between two log lines of a Seldom.
const seldomEvery = 5 * time.Second

// Seldom limits the log lines of an event that happens many times a second to one every few seconds. The first event is logged
// at once. Events after the last line stay unlogged until another one happens. The zero value is ready. Safe for concurrent
// use.
type Seldom struct {
	mu    sync.Mutex
	said  time.Time
	times int
}

// Now counts one more event. ok reports whether to log a line, and times is then the number of events since the last line.
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

// Warn counts one more event, and logs text when a line is due, with the number of events since the last line. err is the
// cause of the last event; those of the others are lost.
func (s *Seldom) Warn(log *slog.Logger, text string, err error) {
	if n, ok := s.Now(time.Now()); ok {
		log.Warn(fmt.Sprintf("%s: %d requests heard it since this was said last", text, n), "err", err)
	}
}
