package orders

import (
	"context"
	"log/slog"
	"time"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/app"
)

// sweep looks for what is overdue and returns how many rows it dealt with.
type sweep struct {
	name string
	run  func(context.Context) (int, error)
}

// sweepers runs every sweep each interval until ctx ends, less often when that takes long. Each replica does: they take
// different rows.
func sweepers(orders *app.App, interval time.Duration, log *slog.Logger) func(context.Context) error {
	sweeps := []sweep{
		{"payment timeouts", orders.ExpirePayments},
		{"orders that do not get on", orders.RepublishPending},
		{"messages kept aside", orders.ParkHeld},
		{"idempotency keys", orders.PruneKeys},
	}
	return func(ctx context.Context) error {
		failures := 0
		for {
			began := time.Now()
			failed := false
			for _, s := range sweeps {
				// Work that has begun is finished: a cancelled commit would leave us not knowing.
				if err := s.until(ctx, context.WithoutCancel(ctx)); err != nil {
					failed = true
					if failures%30 == 0 {
						log.Warn("could not look for "+s.name+", trying again", "attempt", failures+1, "err", err)
					}
				}
			}
			if failed {
				failures++
			} else {
				failures = 0
			}
			pause := time.NewTimer(pgdb.Pause(interval, time.Since(began)))
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return nil
			}
		}
	}
}

// sweepTimeout bounds one transaction of a sweep.
const sweepTimeout = 10 * time.Second

// until runs the sweep until there is nothing left to do or ctx ends.
func (s sweep) until(ctx, working context.Context) error {
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(working, sweepTimeout)
		n, err := s.run(attempt)
		cancel()
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}
