package app

import (
	"log/slog"
	"sync"
	"time"
)

// The limits of the backlog, of one replica.
const (
	// backlogOrders is how many orders may wait for their end, however long they wait.
	backlogOrders = 5000
	// backlogWindow is for how many seconds orders must have reached their end, in each second, before an order is refused. A
	// service that comes back after an outage handles the orders that have piled up, and takes every order meanwhile.
	backlogWindow = 5 // s
	// backlogMemory is for how many seconds the counts are remembered.
	backlogMemory = 64
	// backlogLeast is how many orders are taken in a second in any case.
	backlogLeast = 50
	// longestRetry bounds what Retry-After says.
	longestRetry = time.Minute
	// longestWait bounds the wait of one order: an order that was stuck for a day is not a crowd.
	longestWait = 5 * time.Minute
)

// backlog refuses orders over HTTP that would wait for their end for too long. HTTP takes orders faster than payments and
// notifications get through them, so that a crowd of minutes would leave orders that wait for many minutes.
//
// Orders end about in the order in which they were taken. So the orders that wait are those taken since the ones that end now
// were taken. The limit of a replica follows from that:
//
//	no limit --more than backlogOrders wait, for longer than within--> down by a third each second, to three orders
//	   ^                                                               taken for each four that end
//	   |                                                                    | the backlog is smaller
//	   |                                                                    v
//	   `--- the crowd no longer meets the limit --- a limit that grows each second
//
// The limit falls step by step, since taking a flood of orders uses the processors that orders need to reach their end: fewer
// end during the flood than could. So the backlog shrinks, and the system handles the orders that it can. While Kafka or
// payments is away no order reaches its end: that is not an overload, and every order is taken.
type backlog struct {
	within time.Duration // 0 = nothing is ever refused
	log    *slog.Logger

	mu      sync.Mutex
	seconds [backlogMemory]second // by the number of the second, as a ring
	limit   int                   // how many may be taken in the second of limitOf; -1 = all
	limitOf int64
	after   time.Duration // how long the limit will last
}

// second has the counts of one second.
type second struct {
	number       int64
	taken, ended int
	waited       time.Duration // sum over the orders that ended
}

func newBacklog(within time.Duration, log *slog.Logger) *backlog {
	return &backlog{within: within, log: log, limit: -1}
}

// end counts an order that reached its end after it had waited.
func (b *backlog) end(now time.Time, waited time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.at(now.Unix())
	s.ended++
	s.waited += min(max(0, waited), longestWait)
}

// take reports whether an order may be taken now, and counts it.
func (b *backlog) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over(now) {
		return false
	}
	b.at(now.Unix()).taken++
	return true
}

// full reports whether take would refuse, and for how long it may.
func (b *backlog) full(now time.Time) (after time.Duration, full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.after, b.over(now)
}

// over reports whether this second's orders are taken. b.mu is held.
func (b *backlog) over(now time.Time) bool {
	if number := now.Unix(); number != b.limitOf {
		b.decide(number)
	}
	return b.limit >= 0 && b.at(now.Unix()).taken >= b.limit
}

// decide sets the limit of a second from the seconds before it. b.mu is held.
func (b *backlog) decide(number int64) {
	was, refused := b.limit, b.limit >= 0 && b.at(number-1).taken >= b.limit
	b.limitOf, b.limit, b.after = number, -1, 0
	ended, waited, steady := 0, time.Duration(0), true
	for n := number - backlogWindow; n < number; n++ {
		s := b.at(n)
		ended += s.ended
		waited += s.waited
		steady = steady && s.ended > 0
	}
	// A limit outlasts seconds in which nothing ends, as a crowd that takes all processors makes them. An outage lasts longer.
	if b.within == 0 || ended == 0 || !steady && was < 0 {
		return
	}
	orders, wait := 0, waited/time.Duration(ended)
	for n := number - min(int64(wait/time.Second), backlogMemory-2); n < number; n++ {
		orders += b.at(n).taken
	}
	switch each := ended / backlogWindow; {
	case orders > backlogOrders && wait > b.within:
		b.limit = max(backlogLeast, each*3/4, b.at(number-1).taken*2/3)
		b.after = min(longestRetry, 4*(wait-b.within)) // a quarter of the orders that end is not replaced
	case refused:
		// The crowd is still there: without a limit it would build the next backlog. The limit grows in any case, since the
		// orders that end here need not have been taken here: other replicas read other partitions.
		b.limit = max(backlogLeast, each*5/4, was+was/16+1)
		b.after = time.Second
	}
	switch {
	case was < 0 && b.limit >= 0:
		b.log.Warn("too many orders wait for their end: HTTP refuses a part of the orders until fewer wait",
			"waiting", orders, "each_for", wait.Round(time.Second), "orders_per_second", b.limit)
	case was >= 0 && b.limit < 0:
		b.log.Info("HTTP takes all orders again")
	}
}

// at returns the second, empty when it is a new one. b.mu is held.
func (b *backlog) at(number int64) *second {
	s := &b.seconds[number%int64(len(b.seconds))]
	if s.number != number {
		*s = second{number: number}
	}
	return s
}
