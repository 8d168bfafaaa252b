package app

import (
	"sync"
	"time"
)

// unkeptFor is how long a request of the orders service is retried while the provider has a charge under its order id, but no
// payment is stored. A replica died between charge and commit: the message of that charge is redelivered after Kafka's session
// and rebalance time-outs, 22 s at most. A message that became a dead letter never comes. The refund that would end the order
// waits behind the request, so the retries end.
const unkeptFor = time.Minute

// unkept remembers since when such requests are retried. It is not stored: another process begins anew.
type unkept struct {
	mu    sync.Mutex
	since map[string]time.Time // by order id
}

// tried notes an attempt, and reports whether there may be another one. It forgets orders without a recent attempt: their
// payment is stored by now, or another replica retries.
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
