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

// front is the place in the table before which no row is left or can appear: the rows there are deleted, and no open writer
// can insert one. Reads of the oldest rows begin at it. From the table's start they would read over every deleted row, for
// as long as an open transaction keeps Postgres from removing it.
type front struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	turn chan struct{} // held by the one observation that is made at a time

	mu      sync.Mutex
	writers writers
	before  int64  // rows have a higher id
	server  string // start time of the server
	life    int    // number of times that all places were forgotten
	slow    *SlowWriter
	logged  time.Time // when the log last named the slow writer
}

// place is an observation of the front.
type place struct {
	last    int64 // the sequence's last id
	settled int64 // no row with this id or a lower one can appear any more
	life    int   // of the front; places of another life do not count
	at      time.Time
}

func newFront(pool *pgxpool.Pool, log *slog.Logger) *front {
	return &front{pool: pool, log: log, turn: make(chan struct{}, 1)}
}

const (
	// lastSQL is read before writersSQL: a transaction that took an id up to the one read here still holds the lock, or
	// has ended.
	lastSQL = `SELECT CASE WHEN is_called THEN last_value ELSE 0 END, extract(epoch FROM pg_postmaster_start_time())::text FROM outbox_id_seq`

	// writersSQL shows every writer to every role. pg_stat_activity does not.
	writersSQL = `SELECT virtualtransaction, coalesce(pid, 0) FROM pg_locks
WHERE locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation = to_regclass('outbox') AND mode = 'RowExclusiveLock' AND granted`

	// adoptSQL moves the sequence behind rows that a restore or logical replication inserted. Otherwise new rows would get
	// the ids of these rows, and recovery, which reads up to the sequence, would not find them. It costs one read at the
	// index's end.
	adoptSQL = `SELECT setval('outbox_id_seq', strange.id) FROM (
  SELECT max(id) AS id FROM outbox WHERE id > (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_id_seq)
) AS strange WHERE strange.id IS NOT NULL`
)

// observe reads the sequence and the writers, in one round trip.
func (f *front) observe(ctx context.Context) (place, error) {
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return place{}, fmt.Errorf("observe the outbox: %w", ctx.Err())
	}
	p := place{at: time.Now()} // before the query: the observation is at least this old
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
		if ctx.Err() == nil { // the server may come back as another one
			f.forget()
		}
		return place{}, fmt.Errorf("observe the outbox: %w", err)
	}
	if adopted != nil {
		f.log.Warn("took over messages in the outbox that a restore or replication inserted: the sequence was behind them")
	}
	f.mu.Lock()
	// A sequence that went back, or another start of the server, may be a restored database: it gives out ids again.
	if f.server != server || p.last < f.writers.last {
		if f.server == server {
			f.log.Warn("the outbox's sequence went back, as after a restore: recovery reads the whole table")
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

// forget makes the next reads begin at the first row.
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

// oldestSQL runs after an observation, so it sees the rows of each writer that had ended by then.
const oldestSQL = `SELECT id, created_at FROM outbox WHERE id > $1 ORDER BY id LIMIT 1`

// advance moves the front as far as possible. It returns the front and the time of the oldest row, zero without a row.
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
		return 0, time.Time{}, fmt.Errorf("read the oldest message in the outbox: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.life == now.life {
		f.before = max(f.before, before)
	}
	return before, oldest, nil
}
