package outbox

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
)

// maxDelete is how many rows are deleted by one statement.
const maxDelete = 1000

// maxTogether is how many lanes are published by one call.
const maxTogether = 64

// publishLanes publishes lanes that are ready until memory is stopped and empty, or ctx ends. Lanes that are ready at the
// same moment are published by one call.
func (r *Relay) publishLanes(ctx context.Context, published chan<- []Row) {
	for {
		select {
		case q, ok := <-r.memory.lanes.ready:
			if !ok {
				return
			}
			r.publishTogether(ctx, r.memory.readyWith(q, maxTogether), published)
		case <-ctx.Done():
			return
		}
	}
}

// publishTogether publishes the rows of several lanes by one call. If it fails, one lane may be the cause: each lane is then
// published alone, and retried until it succeeds.
func (r *Relay) publishTogether(ctx context.Context, queues []*queue, published chan<- []Row) {
	each := make([][]Row, len(queues))
	for i, q := range queues {
		each[i] = r.memory.begin(q)
	}
	if all := slices.Concat(each...); r.try(ctx, all) == nil {
		published <- all
		for _, q := range queues {
			r.memory.end(q)
		}
		return
	}
	var alone sync.WaitGroup
	for i, q := range queues {
		alone.Go(func() {
			if rows := r.stillThere(ctx, each[i]); len(rows) > 0 && r.publish(ctx, rows) {
				published <- rows
			}
			r.memory.end(q)
		})
	}
	alone.Wait()
}

func (r *Relay) try(ctx context.Context, rows []Row) error {
	err := r.cfg.Publisher.PublishRecords(ctx, recordsOf(rows)...)
	r.publishes.Store(err == nil)
	if err == nil {
		r.metrics.fromMemory.Add(float64(len(rows)))
	}
	return err
}

// publish retries until the rows are in Kafka. It reports false when ctx ended first.
func (r *Relay) publish(ctx context.Context, rows []Row) bool {
	for attempt := 1; ; attempt++ {
		err := r.try(ctx, rows)
		if err == nil {
			return true
		}
		if attempt == 1 || attempt%10 == 0 {
			r.cfg.Log.Warn("publishing from the outbox failed, retrying", "topic", rows[0].Record.Topic, "attempt", attempt, "err", err)
		}
		if !wait.Sleep(ctx, wait.Backoff(attempt, firstRetry, lastRetry)) {
			return false
		}
		// By now another replica may have recovered the rows from the table.
		if rows = r.stillThere(ctx, rows); len(rows) == 0 {
			return true
		}
	}
}

const stillThereSQL = `SELECT id FROM outbox WHERE id = ANY($1)`

// stillThere returns the rows that are still in the table, and forgets those that another replica has published and
// deleted. If the table cannot be read it returns all rows: twice is better than never.
func (r *Relay) stillThere(ctx context.Context, rows []Row) []Row {
	standing, err := r.standing(ctx, idsOf(rows))
	if err != nil {
		return rows
	}
	var here, gone []Row
	for _, row := range rows {
		if standing[row.ID] {
			here = append(here, row)
		} else {
			gone = append(gone, row)
		}
	}
	r.memory.forget(gone)
	return here
}

// standing returns which of the ids are in the table.
func (r *Relay) standing(ctx context.Context, ids []int64) (map[int64]bool, error) {
	found, err := pgdb.Collect(ctx, r.cfg.Pool, pgx.RowTo[int64], stillThereSQL, ids)
	if err != nil {
		return nil, err
	}
	standing := make(map[int64]bool, len(found))
	for _, id := range found {
		standing[id] = true
	}
	return standing, nil
}

const deleteSQL = `DELETE FROM outbox WHERE id = ANY($1)`

// deletePublished deletes rows that were published until the channel is closed. One statement deletes the rows that are
// ready.
func (r *Relay) deletePublished(ctx context.Context, published <-chan []Row) {
	for rows := range published {
		for more := true; more && len(rows) < maxDelete; {
			select {
			case next, ok := <-published:
				rows, more = append(rows, next...), ok
			default:
				more = false
			}
		}
		for attempt := 1; ; attempt++ {
			_, err := r.cfg.Pool.Exec(ctx, deleteSQL, idsOf(rows))
			if err == nil {
				r.memory.forget(rows)
				break
			}
			if attempt == 1 || attempt%10 == 0 {
				r.cfg.Log.Warn("deleting published messages from the outbox failed, retrying", "attempt", attempt, "err", err)
			}
			if !wait.Sleep(ctx, wait.Backoff(attempt, firstRetry, lastRetry)) {
				break // recovery publishes them again, with the same ids
			}
		}
	}
}

func recordsOf(rows []Row) []messages.Record {
	return pgdb.Column(rows, func(r Row) messages.Record { return r.Record })
}

func idsOf(rows []Row) []int64 {
	return pgdb.Column(rows, func(r Row) int64 { return r.ID })
}

// A failed attempt is repeated after firstRetry, then after ever longer pauses, up to lastRetry.
const firstRetry, lastRetry = 50 * time.Millisecond, 2 * time.Second
