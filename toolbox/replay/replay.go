package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
	toolkafka "pasdetrois/toolbox/kafka"
)

// callTime bounds one question to the service, to Kafka or to the database.
const callTime = 8 * time.Second

// commitTime is how long after a message was handled it may be before that is committed.
const commitTime = time.Second

// Config says what to replay.
type Config struct {
	Service  string
	Topics   []string         // as the contract calls them; none = all that the service reads
	From     From             // where to begin
	Only     int32            // partition; -1 = all
	Replicas []*client.Client // one for each replica of the service
	Kafka    kafka.Config
	Database string        // URL of a role that may read the service's schema
	Lease    time.Duration // how long the service stays paused when we are gone; 0 = 60 s
	PauseTo  time.Duration // how long the pause may take to begin; 0 = 45 s
	Patience time.Duration // how long nothing may be handled before it is given up; 0 = 2 m
	// Progress is told of each step, and then how far it is. May be nil.
	Progress func(Progress)
}

// Progress is how far a replay is.
type Progress struct {
	Step  string // what begins now; "" = nothing new
	Total int64  // offsets that are read again
	Left  int64
	Took  time.Duration // since the service went on
}

// Run replays. An error means that it could not be done, or not to its end; the report, when there is one, says how far it
// came and has no Comparison then. The service consumes again in any case, or does when the lease is over.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Lease == 0 {
		cfg.Lease = time.Minute
	}
	if cfg.PauseTo == 0 {
		cfg.PauseTo = 45 * time.Second
	}
	if cfg.Patience == 0 {
		cfg.Patience = 2 * time.Minute
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Progress) {}
	}
	r := &run{Config: cfg, began: time.Now()}
	defer r.close()
	report, err := r.run(ctx)
	return report, toolkafka.Explain(cfg.Kafka, hint.Auditor(err))
}

func (r *run) run(ctx context.Context) (*Report, error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.awaitOthers(ctx); err != nil {
		return nil, err
	}
	if r.again() == 0 {
		if err := r.lookAgain(ctx); err != nil || r.again() == 0 {
			return r.report(), err
		}
	}
	return r.do(ctx)
}

type run struct {
	Config
	began    time.Time
	brokers  *brokers
	all      []client.ConsumerGroup
	selected []client.ConsumerGroup
	groups   []group // all of them; those that are not selected have no target
	before   *snapshot
	moved    bool // some group was moved back
	handled  int64
	paused   time.Duration
}

func (r *run) close() {
	r.before.remove()
	if r.brokers != nil {
		r.brokers.close()
	}
}

func (r *run) step(format string, args ...any) {
	r.Progress(Progress{Step: fmt.Sprintf(format, args...)})
}

// do replays what prepare found possible.
func (r *run) do(ctx context.Context) (*Report, error) {
	paused := time.Now()
	resume, err := r.pause(ctx)
	if err == nil {
		err = r.rewind(ctx)
	}
	err = errors.Join(err, resume())
	r.paused = time.Since(paused)
	switch {
	case err != nil && r.moved:
		return r.report(), err
	case err != nil:
		return nil, err
	}
	r.step("%s consumes again", r.Service)
	if err := r.follow(ctx); err != nil {
		return r.report(), err
	}
	r.step("comparing the state of %s with that before", r.Service)
	report := r.report()
	report.Comparison, err = r.compare(ctx)
	report.Took = time.Since(r.began)
	return report, err
}

// rewind reads the state and moves the groups back, while the service is paused.
func (r *run) rewind(ctx context.Context) error {
	if err := r.plan(ctx); err != nil { // more was handled meanwhile
		return err
	}
	r.step("reading the state of %s", r.Service)
	var err error
	if r.before, err = take(ctx, r.Database, r.Service); err != nil {
		return err
	}
	for _, g := range r.groups {
		if n := g.again(); n > 0 {
			if err := r.brokers.reset(ctx, r.Service, g); err != nil {
				return err
			}
			r.moved = true
			r.step("moved %s back by %d messages", g.Group, n)
		}
	}
	return nil
}

// StuckError says that the service handles nothing any more.
type StuckError struct {
	Service string
	Left    int64
	For     time.Duration
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("%s handled nothing for %s, %d messages are left", e.Service, e.For, e.Left)
}

// Hint says where to look.
func (e *StuckError) Hint() string {
	return fmt.Sprintf("see /readyz and the log of %s; it goes on reading by itself", e.Service)
}

// follow waits until all that was handled before is handled again.
func (r *run) follow(ctx context.Context) error {
	total := r.again()
	began, moved, last := time.Now(), time.Now(), total
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		left, err := r.brokers.left(ctx, r.Service, r.groups)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if remade := (*RemadeError)(nil); errors.As(err, &remade) {
			return err
		}
		if err == nil {
			r.handled = total - left
			r.Progress(Progress{Total: total, Left: left, Took: time.Since(began)})
			if left == 0 {
				return nil
			}
			if left != last {
				moved, last = time.Now(), left
			}
		}
		if time.Since(moved) > r.Patience {
			return errors.Join(&StuckError{Service: r.Service, Left: last, For: r.Patience}, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const followEvery = 250 * time.Millisecond

func (r *run) compare(ctx context.Context) (*Comparison, error) {
	after, err := take(ctx, r.Database, r.Service)
	if err != nil {
		return nil, err
	}
	defer after.remove()
	c := newCauses(r.Service, r.Kafka, r.groups)
	return compare(r.Service, r.before, after, c.suspect, c.explained, func() error {
		r.step("looking for what else explains the differences")
		return c.read(ctx)
	})
}
