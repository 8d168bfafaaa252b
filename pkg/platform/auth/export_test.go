package auth

import "time"

// RefreshAfter is the shortest time between two fetches of the keys.
const RefreshAfter = refetchAfter

// Pauses sets the pauses between fetches, before Run.
func (l *Login) Pauses(every, afterFailure time.Duration) {
	l.refreshEvery, l.retryFirst = every, afterFailure
}

// Remembered returns how many tokens are remembered.
func (l *Login) Remembered() int {
	v := l.keys.current.Load().verified
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.young) + len(v.old)
}
