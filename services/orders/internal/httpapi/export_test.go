package httpapi

import "time"

// SetHeartbeat lets a test see heartbeats without waiting for them.
func SetHeartbeat(d time.Duration) func(*API) { return func(a *API) { a.heartbeat = d } }

// WaitFor tells how long a value of ?wait= holds a request.
func WaitFor(value string) (time.Duration, error) { return Wait{Wait: value}.duration() }
