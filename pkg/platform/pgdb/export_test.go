package pgdb

import "time"

// Hurry makes the watch look and tell sooner than a service's.
func (w *Watch) Hurry(every, after time.Duration) *Watch {
	w.every, w.after = every, after
	return w
}
