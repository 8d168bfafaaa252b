package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pasdetrois/toolbox/client"
)

const (
	pauseLook  = 100 * time.Millisecond // between two checks whether the pause has begun
	resumeTime = 5 * time.Second        // for the answers of all replicas to a resume
)

// pause pauses every replica for a lease and returns when the groups are empty. A goroutine renews the lease every
// quarter of it, until resume. The caller must call resume in any case, also after an error: some replicas may be
// paused already.
func (r *run) pause(ctx context.Context) (resume func() error, err error) {
	r.step("pausing what %s consumes", r.Service)
	renewing, stop := context.WithCancel(ctx)
	var renewals sync.WaitGroup
	resume = func() error {
		stop()
		renewals.Wait()
		return r.resume(ctx)
	}
	if err := r.askAll(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.PauseConsumers(ctx, r.Service, r.Lease)
		return err
	}); err != nil {
		return resume, err
	}
	// A renewal that fails is no error here. If the pause ends because of it, the groups have members again and the brokers
	// reject the reset.
	renewals.Go(func() {
		tick := time.NewTicker(r.Lease / 4)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = r.askAll(renewing, func(ctx context.Context, c *client.Client) error {
					_, err := c.PauseConsumers(ctx, r.Service, r.Lease)
					return err
				})
			case <-renewing.Done():
				return
			}
		}
	})
	return resume, r.awaitEmpty(ctx)
}

// awaitEmpty waits until every replica reports that it is paused, and the brokers report no member of any group. The
// brokers have the last word: a replica that the caller did not name is a member, too. After PauseTo it returns the
// last obstacle.
func (r *run) awaitEmpty(ctx context.Context) error {
	deadline := time.Now().Add(r.PauseTo)
	tick := time.NewTicker(pauseLook)
	defer tick.Stop()
	for {
		err := r.askAll(ctx, func(ctx context.Context, c *client.Client) error {
			consumers, err := c.Consumers(ctx, r.Service)
			if err == nil && consumers.State != client.ConsumersPaused {
				err = fmt.Errorf("%s at %s is %s, with %d messages in work", r.Service, c.Endpoint(r.Service).Admin, consumers.State, consumers.InWork)
			}
			return err
		})
		if err == nil {
			err = r.brokers.members(ctx, r.Service, r.all)
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("not paused within %s: %w", r.PauseTo, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// resume ends the pause on every replica, also when ctx has ended. A replica that does not answer resumes when its
// lease ends.
func (r *run) resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resumeTime)
	defer cancel()
	err := r.askAll(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.ResumeConsumers(ctx, r.Service)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s resumes by itself within %s: %w", r.Service, r.Lease, err)
	}
	return nil
}

// askAll asks all replicas at the same time and joins their errors. One that fails does not keep the others from being
// asked.
func (r *run) askAll(ctx context.Context, ask func(context.Context, *client.Client) error) error {
	errs := make([]error, len(r.Replicas))
	var all sync.WaitGroup
	for i, replica := range r.Replicas {
		all.Go(func() { errs[i] = ofService(r.Service, ask(ctx, replica)) })
	}
	all.Wait()
	return errors.Join(errs...)
}
