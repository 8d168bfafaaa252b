package outbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pasdetrois/pkg/platform/pgdb"

	"github.com/jackc/pgx/v5"
)

const (
	// pageSize is how many rows recovery reads and publishes at a time.
	pageSize = 1000
	// readAllEvery is how often a sweep begins at the first row. A restore or replication may insert rows with old ids.
	readAllEvery = time.Minute
)

// sweeper publishes rows that were left in the table.
type sweeper struct {
	relay  *Relay
	lease  *lease
	bounds bounds
	looked time.Duration // how long the last look for rows took

	life   int       // of the front
	cursor int64     // no row with this id or a lower one is left or can appear
	atAll  time.Time // when the cursor was last set to the first row
}

func newSweeper(r *Relay) *sweeper {
	return &sweeper{relay: r, lease: newLease(r.cfg.Pool), atAll: time.Now()}
}

// sweep publishes each visible row whose id was given out at least Grace ago, and that this process does not have in
// memory. An open transaction does not delay this: it only keeps the cursor where rows can still appear. sweep ends
// between two pages when ctx ends. A page that has begun is finished, under working.
func (s *sweeper) sweep(ctx, working context.Context) error {
	now, err := s.observe(ctx)
	if err != nil {
		return err
	}
	below := s.bounds.note(now.last, now.at, s.relay.cfg.Grace)
	if now.life != s.life || time.Since(s.atAll) >= readAllEvery {
		s.life, s.cursor, s.atAll = now.life, 0, time.Now()
	}
	if below <= s.cursor {
		return nil
	}
	left, err := s.look(ctx, below)
	if err != nil {
		return err
	}
	if left {
		all, err := s.publish(ctx, working, below)
		if err != nil || !all {
			return err
		}
	}
	s.cursor = max(s.cursor, min(below, now.settled))
	return nil
}

func (s *sweeper) observe(ctx context.Context) (place, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	return s.relay.front.observe(ctx)
}

const leftSQL = `SELECT id FROM outbox WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3`

// look reports whether rows are left behind the cursor that this process does not have in memory.
func (s *sweeper) look(ctx context.Context, below int64) (left bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	memory := s.relay.memory
	memory.reading(true)
	defer memory.reading(false)
	began := time.Now()
	ids, err := pgdb.Collect(ctx, s.relay.cfg.Pool, pgx.RowTo[int64], leftSQL, s.cursor, below, pageSize)
	if err != nil {
		return false, fmt.Errorf("find messages that were left in the outbox: %w", err)
	}
	s.looked = time.Since(began)
	return len(ids) == pageSize || slices.ContainsFunc(ids, func(id int64) bool { return !memory.ours(id) }), nil
}

// publish publishes the rows page by page, while this replica has the lease. It reports whether it reached the end.
func (s *sweeper) publish(ctx, working context.Context, below int64) (all bool, err error) {
	defer s.lease.giveUp()
	for at := s.cursor; ctx.Err() == nil; {
		ours, err := s.lease.take(ctx)
		if err != nil || !ours {
			return false, err
		}
		var reached reach
		at, reached, err = s.page(working, at, below)
		switch {
		case err != nil:
			return false, err
		case reached == overtakes:
			return false, nil
		case reached == bottom:
			return true, nil
		}
	}
	return false, nil
}

// reach is how far a page got.
type reach int

const (
	further   reach = iota // there may be more rows
	bottom                 // no more rows
	overtakes              // the next row must wait for an earlier row of its lane that is in memory
)

const pageSQL = `SELECT id, topic, key, value, headers, created_at FROM outbox WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3`

// page publishes and deletes the next rows behind from, and returns the last id that it handled.
func (s *sweeper) page(ctx context.Context, from, below int64) (end int64, reached reach, err error) {
	memory := s.relay.memory
	memory.reading(true)
	defer memory.reading(false)
	rows, err := s.read(ctx, from, below)
	if err != nil {
		return from, 0, err
	}
	end, reached = from, bottom
	if len(rows) == pageSize {
		reached = further
	}
	var left []Row
	for _, row := range rows {
		if !memory.ours(row.ID) {
			if memory.busy(laneOf(row)) {
				reached = overtakes
				break
			}
			left = append(left, row)
		}
		end = row.ID
	}
	if len(left) == 0 {
		return end, reached, nil
	}
	err = s.relay.cfg.Publisher.PublishRecords(ctx, recordsOf(left)...)
	s.relay.publishes.Store(err == nil)
	if err != nil {
		return from, 0, fmt.Errorf("publish rows that were left in the outbox: %w", err)
	}
	s.relay.metrics.recovered.Add(float64(len(left)))
	s.relay.cfg.Log.Info("published messages that were left in the outbox", "messages", len(left))
	return end, reached, s.delete(ctx, left)
}

func (s *sweeper) read(ctx context.Context, from, below int64) ([]Row, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	rows, err := pgdb.Collect(ctx, s.relay.cfg.Pool, func(row pgx.CollectableRow) (out Row, err error) {
		r := &out.Record
		err = row.Scan(&out.ID, &r.Topic, &r.Key, &r.Value, &r.Headers, &r.Time)
		return out, err
	}, pageSQL, from, below, pageSize)
	if err != nil {
		return nil, fmt.Errorf("read rows that were left in the outbox: %w", err)
	}
	return rows, nil
}

func (s *sweeper) delete(ctx context.Context, rows []Row) error {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	if _, err := s.relay.cfg.Pool.Exec(ctx, deleteSQL, idsOf(rows)); err != nil {
		return fmt.Errorf("delete published rows from the outbox: %w", err)
	}
	return nil
}
