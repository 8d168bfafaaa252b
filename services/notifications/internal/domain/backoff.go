package domain

import "time"

// Backoff is the pause between two attempts to send one email.
type Backoff struct {
	First time.Duration // after the first attempt
	Max   time.Duration
}

// After returns the pause after the given attempt (1 = the first): First, doubled each time, at most Max. The pause is up to a fifth
// shorter, by jitter in [0, 1), so that emails that failed together are not tried again together.
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

// Retries says when an email is tried again, and for how long.
type Retries struct {
	Backoff
	// For is the age at which attempts end. RFC 5321, section 4.5.4.1, recommends at least 4 to 5 days.
	For time.Duration
}

// unknownBackoff is the pause after an attempt whose answer never came. Each further attempt may reach the customer once
// more, so the pauses are long and grow.
var unknownBackoff = Backoff{First: 10 * time.Minute, Max: 6 * time.Hour}

// AfterUnknown returns the pause after an attempt whose outcome is unknown.
func (r Retries) AfterUnknown(attempt int, jitter float64) time.Duration {
	return unknownBackoff.After(attempt, jitter)
}

// Over reports whether a notification is too old for another attempt.
func (r Retries) Over(n Notification, now time.Time) bool { return now.Sub(n.TriedSince) >= r.For }
