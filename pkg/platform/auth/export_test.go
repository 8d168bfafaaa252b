package auth

import (
	"context"
	"time"
)

// RefreshAfter is the shortest time between two fetches of the keys.
const RefreshAfter = refetchAfter

// Pauses sets the pauses between fetches, before Run.
// Requests wait for a fetch as long as a busy machine may take.
func (l *Login) Pauses(every, afterFailure time.Duration) {
	l.refreshEvery, l.retryFirst, l.keys.within = every, afterFailure, time.Minute
}

// Fetch fetches the keys.
func (l *Login) Fetch(ctx context.Context) error { return l.keys.refresh(ctx, time.Minute) }

// Remembered returns how many tokens are remembered.
func (l *Login) Remembered() int {
	v := l.keys.current.Load().verified
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.young) + len(v.old)
}
