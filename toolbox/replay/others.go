package replay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pasdetrois/toolbox/client"
)

// PausedError says that somebody else keeps the service paused: a person, or a replay that does not end.
type PausedError struct {
	Service string
	Until   time.Time
}

func (e *PausedError) Error() string {
	return fmt.Sprintf("%s is paused by another client, until %s", e.Service, e.Until.Local().Format(time.TimeOnly))
}

// Hint says how to end the pause.
func (e *PausedError) Hint() string {
	return "wait for that, or end the pause with POST /consumers/resume at the admin URL of " + e.Service
}

// awaitOthers waits until no other pause of the service is left. A pause longer than a lease is a person's, and is an
// error at once. A shorter one belongs to another replay, or to one that was killed; each renewal puts its end off, for
// Patience at most.
//
//	a person's pause ───────────────> *PausedError
//	a replay's pause, renewed ──────> *PausedError after Patience
//	a replay's pause that ends ─────> the service handles its lag ──> plan again
//
// A killed replay may have moved the groups back, and the offsets before that are lost. So the service first handles
// all that it can read. Then this replay is planned anew, and its targets have the right end.
func (r *run) awaitOthers(ctx context.Context) error {
	until, err := r.pausedUntil(ctx)
	switch {
	case err != nil || until.IsZero():
		return err
	case time.Until(until) > r.Lease+callTime: // no replay asks for that
		return &PausedError{Service: r.Service, Until: until}
	}
	r.step("%s is paused by another replay or by one that was killed: waiting for the end of that, at %s unless it is renewed",
		r.Service, until.Local().Format(time.TimeOnly))
	began := time.Now()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for !until.IsZero() {
		if time.Since(began) > r.Patience {
			return &PausedError{Service: r.Service, Until: until}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if until, err = r.pausedUntil(ctx); err != nil {
			return err
		}
	}
	r.groups = nil
	for _, g := range r.all {
		unread, err := r.brokers.behind(ctx, g)
		if err != nil {
			return err
		}
		r.groups = append(r.groups, unread)
	}
	if r.again() > 0 {
		r.step("%s reads first what it has not handled", r.Service)
		if err := r.follow(ctx); err != nil {
			return err
		}
		r.handled = 0
	}
	return r.plan(ctx)
}

// pausedUntil returns the end of the pause that lasts longest of all replicas; zero when no replica is paused.
func (r *run) pausedUntil(ctx context.Context) (time.Time, error) {
	untils := make([]time.Time, len(r.Replicas))
	err := r.askAll(ctx, func(ctx context.Context, c *client.Client) error {
		consumers, err := c.Consumers(ctx, r.Service)
		if err == nil && consumers.PausedUntil != nil {
			untils[slices.Index(r.Replicas, c)] = *consumers.PausedUntil
		}
		return err
	})
	return slices.MaxFunc(untils, time.Time.Compare), err
}
