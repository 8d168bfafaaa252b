package domain

import "time"

// Backoff is the pause between two attempts to send one email.
type Backoff struct {
	First time.Duration // after the first attempt
	Max   time.Duration
}

// After returns the pause after the given attempt (1 = the first): First, doubled each time, at most Max. Up to a fifth
// is taken off, by jitter in [0, 1), so that emails that failed together are not tried again together.
func (b Backoff) After(attempt int, jitter float64) time.Duration {
	pause := b.First
	for range attempt - 1 {
		if pause >= b.Max/2 {
			pause = b.Max
			break
		}
		pause *= 2
	}
	pause = min(pause, b.Max)
	return pause - time.Duration(float64(pause)*jitter/5)
}
