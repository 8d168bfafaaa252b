package service

import (
	"context"
	"log/slog"
	"time"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/wait"
)

// sweepTimeout bounds one transaction of a sweep.
const sweepTimeout = 10 * time.Second

// Sweep finds rows that are due, such as time-outs, and handles them.
type Sweep struct {
	Name string // of the rows, for the log
	// Run handles some rows in one transaction and returns how many. It is called again until it returns 0.
	Run func(context.Context) (int, error)
}

// Sweepers is a loop that runs every sweep once per interval, and less often when that takes long. Each replica runs it, so
// sweeps must take different rows: FOR UPDATE SKIP LOCKED. A failed sweep is repeated at the next interval.
func Sweepers(every time.Duration, log *slog.Logger, sweeps ...Sweep) run.Component {
	return run.Component{Name: "sweepers", Run: func(ctx context.Context) error {
		for failures := 0; ; {
			began, failed := time.Now(), false
			for _, s := range sweeps {
				if err := s.until(ctx); err != nil {
					failed = true
					if failures%30 == 0 {
						log.Warn("sweeping "+s.Name+" failed, trying again", "attempt", failures+1, "err", err)
					}
				}
			}
			failures++
			if !failed {
				failures = 0
			}
			if !wait.Sleep(ctx, pgdb.Pause(every, time.Since(began))) {
				return nil
			}
		}
	}}
}

// until runs the sweep until no row is left, or ctx ends. A transaction that has begun is finished: after a cancelled commit its
// outcome would be unknown.
func (s Sweep) until(ctx context.Context) error {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTimeout)
		n, err := s.Run(attempt)
		cancel()
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}
