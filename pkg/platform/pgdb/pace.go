package pgdb

import "time"

// Pause returns how long a loop that polls a table waits before its next poll, when the last one took took. The pause is
// every, as long as polls take at most a twentieth of the time. It is longer after a slow poll, and 30 times every at most.
//
// Polls get slow while an open transaction keeps Postgres from removing deleted rows: each poll reads over them.
func Pause(every, took time.Duration) time.Duration {
	const share, limit = 20, 30
	return min(max(every, share*took), limit*every)
}
