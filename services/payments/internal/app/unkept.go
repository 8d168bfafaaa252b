package app

import (
	"sync"
	"time"
)

// unkeptFor is how long the orders service's request is tried again while the provider knows a charge under its order id that no
// payment tells of. Its message comes again once a replica has taken over from one that died between charge and commit, at the
// latest after Kafka's session and rebalance time-outs, 22 s. One that became a dead letter never comes, and behind the request
// waits the refund that would end it; so this has an end.
const unkeptFor = time.Minute

// unkept remembers since when such requests are tried. The memory of one process does: another one begins anew.
type unkept struct {
	mu    sync.Mutex
	since map[string]time.Time // by order id
}

// tried notes a try, and reports whether there may be another one. What was not tried for long has its charge kept by now, or is
// tried by another replica.
func (u *unkept) tried(orderID string, now time.Time) (again bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, since := range u.since {
		if now.Sub(since) >= 2*unkeptFor {
			delete(u.since, id)
		}
	}
	since, known := u.since[orderID]
	switch {
	case !known:
		if u.since == nil {
			u.since = make(map[string]time.Time)
		}
		u.since[orderID] = now
		return true
	case now.Sub(since) < unkeptFor:
		return true
	}
	delete(u.since, orderID)
	return false
}
