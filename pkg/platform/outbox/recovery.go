package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
)

const (
	// maxStanding is how many rows may stand in the table when memory opens: their lanes are kept in memory.
	maxStanding = 50_000
	// statementTimeout bounds each statement of recovery.
	statementTimeout = 10 * time.Second
)

// recover reads the table every Poll until ctx ends. It opens memory when it can, and publishes rows that were left.
func (r *Relay) recover(ctx, working context.Context) {
	s := newSweeper(r)
	defer s.lease.giveUp()
	for failures := 0; ; {
		err := r.tendMemory(ctx)
		if err == nil {
			err = s.sweep(ctx, working)
		}
		switch {
		case err == nil:
			failures = 0
		case ctx.Err() == nil:
			if failures++; failures == 1 || failures%20 == 0 {
				r.cfg.Log.Warn("recovering the outbox failed, retrying", "attempt", failures, "err", err)
			}
		}
		if !wait.Sleep(ctx, pgdb.Pause(r.cfg.Poll, s.looked)) {
			return
		}
	}
}

const standingSQL = `SELECT id, topic, key FROM outbox WHERE id > $1 ORDER BY id LIMIT $2`

// tendMemory ends the waiting of lanes whose rows were recovered, and opens memory when it is closed and may open.
func (r *Relay) tendMemory(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	if waiting := r.memory.waitingFor(); len(waiting) > 0 {
		standing, err := r.standing(ctx, waiting)
		if err != nil {
			return fmt.Errorf("find recovered rows: %w", err)
		}
		r.memory.recovered(waiting, standing)
	}
	if !r.memory.beginOpening() {
		return nil
	}
	from, _, err := r.front.advance(ctx)
	var standing []Row
	if err == nil {
		standing, err = pgdb.Collect(ctx, r.cfg.Pool, func(row pgx.CollectableRow) (out Row, err error) {
			err = row.Scan(&out.ID, &out.Record.Topic, &out.Record.Key)
			return out, err
		}, standingSQL, from, maxStanding+1)
	}
	if err != nil || len(standing) > maxStanding {
		r.memory.stayClosed()
		if err != nil {
			err = fmt.Errorf("list rows of the outbox: %w", err)
		}
		return err
	}
	r.memory.opened(standing)
	return nil
}
