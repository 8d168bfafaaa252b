package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// front is a place in the table before which there is nothing and never will be: its rows are deleted, and no writer is open
// that could still put one there. Reads of the oldest rows begin at it. Without it they would go over all rows that were ever
// deleted, for as long as an open transaction keeps Postgres from clearing them away.
type front struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	turn chan struct{} // observations are made one after the other

	mu      sync.Mutex
	writers writers
	before  int64  // rows have a higher id
	server  string // which start of which server
	life    int    // how many times everything was forgotten
	slow    *SlowWriter
	told    time.Time // when the slow writer was logged
}

// place is an observation of the front.
type place struct {
	last    int64 // where the sequence stood
	settled int64 // no row up to here can appear any more
	life    int   // another life: nothing that was seen before counts
	at      time.Time
}

func newFront(pool *pgxpool.Pool, log *slog.Logger) *front {
	return &front{pool: pool, log: log, turn: make(chan struct{}, 1)}
}

const (
	// lastSQL is read before writersSQL: whoever has taken an id up to the one read here holds the lock until its end.
	lastSQL = `SELECT CASE WHEN is_called THEN last_value ELSE 0 END, extract(epoch FROM pg_postmaster_start_time())::text FROM outbox_id_seq`

	// writersSQL tells every role of every writer, which pg_stat_activity does not.
	writersSQL = `SELECT virtualtransaction, coalesce(pid, 0) FROM pg_locks
WHERE locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation = to_regclass('outbox') AND mode = 'RowExclusiveLock' AND granted`

	// adoptSQL moves the sequence behind rows that it did not number: a restore or logical replication brought them. One look
	// at the end of the index finds none. New rows would meet their ids, and recovery looks no further than the sequence.
	adoptSQL = `SELECT setval('outbox_id_seq', strange.id) FROM (
  SELECT max(id) AS id FROM outbox WHERE id > (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_id_seq)
) AS strange WHERE strange.id IS NOT NULL`
)

// observe looks at the sequence and the writers, in one round trip.
func (f *front) observe(ctx context.Context) (place, error) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return place{}, fmt.Errorf("observe the outbox: %w", ctx.Err())
	}
	p := place{at: time.Now()} // before asking: what is seen is at least this old
	var server string
	var writing []writer
	var adopted *int64
	var batch pgx.Batch
	batch.Queue(lastSQL).QueryRow(func(row pgx.Row) error { return row.Scan(&p.last, &server) })
	batch.Queue(writersSQL).Query(func(rows pgx.Rows) (err error) {
		writing, err = pgx.CollectRows(rows, pgx.RowToStructByPos[writer])
		return err
	})
	batch.Queue(adoptSQL).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&adopted); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return nil
	})
	if err := f.pool.SendBatch(ctx, &batch).Close(); err != nil {
		if ctx.Err() == nil { // it may come back as another one
			f.forget()
		}
		return place{}, fmt.Errorf("observe the outbox: %w", err)
	}
	if adopted != nil {
		f.log.Warn(fmt.Sprintf("took over messages in the outbox that a restore or replication brought, up to number %d", *adopted))
	}
	f.mu.Lock()
	// A sequence that went back, or another start, may be a database from a copy: numbers are given out once more then.
	if f.server != server || p.last < f.writers.last {
		if f.server == server {
			f.log.Warn("the outbox's numbers went back, as after a restore: all of the table is looked at")
		}
		f.forgetLocked()
		f.server = server
	}
	p.settled = f.writers.observe(p.last, writing, p.at)
	p.life = f.life
	oldest := f.writers.oldest()
	f.mu.Unlock()
	return p, f.watch(ctx, oldest)
}

// forget makes the next reads begin at the beginning.
func (f *front) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgetLocked()
}

func (f *front) forgetLocked() {
	f.writers.forget()
	f.before = 0
	f.life++
}

// oldestSQL runs after an observation: it sees the rows of every writer that had ended then.
const oldestSQL = `SELECT id, created_at FROM outbox WHERE id > $1 ORDER BY id LIMIT 1`

// advance moves the front as far as it goes now and returns it, and when the oldest row was put there: zero when there is none.
func (f *front) advance(ctx context.Context) (before int64, oldest time.Time, err error) {
	now, err := f.observe(ctx)
	if err != nil {
		return 0, time.Time{}, err
	}
	f.mu.Lock()
	from := f.before
	f.mu.Unlock()
	var id int64
	before = now.settled
	switch err := f.pool.QueryRow(ctx, oldestSQL, from).Scan(&id, &oldest); {
	case err == nil:
		before = min(before, id-1)
	case !errors.Is(err, pgx.ErrNoRows):
		return 0, time.Time{}, fmt.Errorf("look at the oldest message in the outbox: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.life == now.life {
		f.before = max(f.before, before)
	}
	return before, oldest, nil
}
