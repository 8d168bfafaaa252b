package httpx

import (
	"math"
	"time"
)

// capacity bounds what one server holds at the same time; 0 = no bound.
type capacity struct {
	connections int           // all of them
	fresh       int           // connections that have not sent a whole header yet
	requests    int           // in work
	bodies      int           // bytes of the bodies that are still on their way
	waiting     int           // requests that only wait for news
	patience    time.Duration // a client that does nothing for this long may be disconnected for another one
}

// The measured cost of each in bytes, and the part of the process's memory limit that all of one kind may take. The rest of
// the limit, about a tenth beside the servers of both roles, is for the service itself and for the garbage collector.
const (
	requestBytes, requestShare       = 130 << 10, 0.40
	connectionBytes, connectionShare = 20 << 10, 0.25
	waitingBytes, waitingShare       = 64 << 10, 0.10
	bodyBytes, bodyShare             = 4 << 10, 0.10 // beside the bytes of the body itself

	// ordinaryLimit replaces the limit of a process without one, in bytes: without a bound a crowd would fill the machine.
	ordinaryLimit = 326 << 20
	// giveWayAfter is longer than a header needs from the other side of the world.
	giveWayAfter = 500 * time.Millisecond
)

// Role is the kind of clients of a server, which decides how much of the process's memory it may use.
type Role string

// The roles. An operator's requests are few, and must be answered while a crowd asks the public server.
const (
	Public Role = "public"
	Admin  Role = "admin"
)

// share returns the part of the memory for requests that a server of the role gets.
func (r Role) share() float64 {
	if r == Admin {
		return 1.0 / 16
	}
	return 1
}

// capacityOf returns the bounds of a server in a process with the memory limit in bytes, as debug.SetMemoryLimit returns it. A
// very small limit still leaves room for a few clients, so a service with too little memory answers, and does not hang.
func capacityOf(limit int64, role Role) capacity {
	if limit == math.MaxInt64 {
		limit = ordinaryLimit
	}
	of := func(share float64, each int, least int) int {
		return max(least, int(float64(limit)*role.share()*share/float64(each)))
	}
	c := capacity{
		connections: of(connectionShare, connectionBytes, 64),
		requests:    of(requestShare, requestBytes, 16),
		waiting:     of(waitingShare, waitingBytes, 16),
		bodies:      of(bodyShare, 1, 16*(bodyBytes+maxBody)),
		patience:    giveWayAfter,
	}
	c.fresh = c.connections / 4
	return c
}
