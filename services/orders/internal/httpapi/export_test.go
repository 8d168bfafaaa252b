package httpapi

import (
	"context"
	"time"
)

// SetHeartbeat lets a test see heartbeats without waiting for them.
func SetHeartbeat(d time.Duration) func(*API) { return func(a *API) { a.heartbeat = d } }

// SetStoreTimeout lets a test hold the database for as long as it needs.
func SetStoreTimeout(d time.Duration) func(*API) {
	return func(a *API) {
		a.bounded = func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	}
}

// NoRoom lets no stream wait for news.
func NoRoom(a *API) { a.hold = func(context.Context) (func(), bool) { return nil, false } }

// SetWriteWithin sets how long the client of a stream may take nothing.
func SetWriteWithin(d time.Duration) func(*API) { return func(a *API) { a.writeWithin = d } }

// WantsStream is what an Accept header asks of a timeline.
func WantsStream(accept string) (stream, ok bool) { return wantsStream(accept) }

// WaitFor tells how long a value of ?wait= holds a request.
func WaitFor(value string) (time.Duration, error) { return Wait{Wait: value}.duration() }
