// Package pace keeps what looks into a table again and again from taking all of the time.
package pace

import "time"

const (
	// share of the time that looking takes: one part of so many, at most.
	share = 20
	// limit is how many times as long as usual the pause is, at most: a look that is never taken is of no use.
	limit = 30
)

// Pause returns how long to wait before the next look, when the last one took so long and every is the usual pause. Rows
// that an open transaction keeps Postgres from clearing away make looks slower and slower.
func Pause(every, took time.Duration) time.Duration {
	return min(max(every, share*took), limit*every)
}
