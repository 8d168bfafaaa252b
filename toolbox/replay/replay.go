package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
	toolkafka "pasdetrois/toolbox/kafka"
)

// openTime is the default of Config.OpenTime. It also bounds the first answer of Kafka when differences are explained.
const openTime = 30 * time.Second

// callTime is how much longer than its own lease a replay may see the lease of another one.
const callTime = 8 * time.Second

// commitTime is the longest time from the end of a record's handling to the commit of its offset.
const commitTime = time.Second

// Config names the service, the records to replay and the limits.
type Config struct {
	Service  string
	Topics   []string         // as the contract calls them; none = all that the service reads
	From     From             // where to begin
	Only     int32            // partition; -1 = all
	Replicas []*client.Client // one for each replica of the service
	Kafka    kafka.Config
	Trusted  *signing.Keys // as the service has them; nil = events need no signature
	Database string        // URL of a role that may read the service's schema
	Lease    time.Duration // how long the service stays paused if this process dies; 0 = 60 s
	PauseTo  time.Duration // how long the pause may take to begin; 0 = 45 s
	OpenTime time.Duration // how long the first answers of the service, of Kafka and of Postgres may take; 0 = 30 s
	Patience time.Duration // how long nothing may be handled before follow fails; 0 = 2 m
	Grace    time.Duration // how long a row may take to follow its message on the topics; 0 = 5 s
	// Contradictions replays although the topics contradict the database. A database behind the topics ends the replay in
	// any case.
	Contradictions bool
	// Progress is called at each step, and during follow a few times a second. It may be nil. A slow one delays the
	// replay.
	Progress func(Progress)
}

// Progress is how far a replay is.
type Progress struct {
	Step  string // the step that begins now; "" = no new step
	Total int64  // offsets that are read again
	Left  int64
	Took  time.Duration // since the service went on
}

// Run replays. Without an error the report has a Comparison, or there was nothing to replay. With an error, a report
// says how far the replay came; an error without a report means that no group was moved. The service consumes again in
// each case, at the latest when the lease ends.
//
// The typed errors are *BehindError, *ContradictionError, *BusyError, *PausedError, *StuckError, *RangeError,
// *PartitionError, *UnknownTopicError, *OtherServiceError and *RemadeError; errors.As finds them. A second
// replay of the service waits while the first one pauses it.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Lease == 0 {
		cfg.Lease = time.Minute
	}
	if cfg.OpenTime == 0 {
		cfg.OpenTime = openTime
	}
	if cfg.PauseTo == 0 {
		cfg.PauseTo = 45 * time.Second
	}
	if cfg.Patience == 0 {
		cfg.Patience = 2 * time.Minute
	}
	if cfg.Grace == 0 {
		cfg.Grace = decidedGrace
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Progress) {}
	}
	r := &run{Config: cfg, began: time.Now()}
	defer r.close()
	report, err := r.run(ctx)
	return report, toolkafka.Explain(cfg.Kafka, hint.Auditor(err))
}

// run does all steps. It returns a report without a Comparison when no record is to be read again.
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
	if err := r.decided(ctx); err != nil {
		return nil, err
	}
	return r.do(ctx)
}

// run is the state of one Run. Its goroutine owns it; the renewals of the pause only read the Config.
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

// close removes the snapshot and ends the connections to Kafka.
func (r *run) close() {
	r.before.remove()
	if r.brokers != nil {
		r.brokers.close()
	}
}

func (r *run) step(format string, args ...any) {
	r.Progress(Progress{Step: fmt.Sprintf(format, args...)})
}

// do pauses, rewinds, resumes, follows and compares. resume runs even when the pause failed, and its error counts: a
// service that may still be paused must not look replayed.
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

// rewind takes the snapshot and then moves the groups back, while the service is paused. It plans again first, because
// the service went on until the pause. An error in the middle leaves some groups moved, and moved is true then.
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
				if busy := (*BusyError)(nil); errors.As(err, &busy) {
					busy.Moved = r.moved
				}
				return err
			}
			r.moved = true
			r.step("moved %s back by %d messages", g.Group, n)
		}
	}
	return nil
}

// StuckError says that the service handled nothing for the whole Patience. The groups stay where they are.
type StuckError struct {
	Service string
	Left    int64
	For     time.Duration
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("%s handled nothing for %s, %d messages are left", e.Service, e.For, e.Left)
}

// Hint names the endpoint and the log that show the cause.
func (e *StuckError) Hint() string {
	return fmt.Sprintf("see /readyz and the log of %s; it resumes by itself", e.Service)
}

// follow waits until the groups have committed their former offsets again. Errors of Kafka are retried until nothing
// moved for Patience; then they come with the *StuckError. A topic that was made anew ends the wait at once with a
// *RemadeError.
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

// followEvery is the time between two requests for the groups' offsets, and for the state of a pause.
const followEvery = 250 * time.Millisecond

// compare takes the second snapshot. It reads the topics only if some row differs, since this takes longest.
func (r *run) compare(ctx context.Context) (*Comparison, error) {
	after, err := take(ctx, r.Database, r.Service)
	if err != nil {
		return nil, err
	}
	defer after.remove()
	c := newCauses(r.Service, r.Kafka, r.groups, r.Trusted)
	return compare(r.Service, r.before, after, c.suspect, c.explained, func() error {
		r.step("looking for what else explains the differences")
		if err := c.readRemoved(ctx, r.Database); err != nil {
			return err
		}
		return c.read(ctx)
	})
}
