package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// pageSize is how many rows recovery reads and publishes at a time.
	pageSize = 1000
	// maxStanding is how many rows may stand in the table for memory to open: their lanes are remembered.
	maxStanding = 50_000
	// statementTimeout bounds what recovery asks the database for.
	statementTimeout = 10 * time.Second
)

// recover looks at the table every Poll until ctx ends: opens memory when it can, and, while this process holds the
// lock, publishes what was left behind.
func (r *Relay) recover(ctx, working context.Context) {
	var l *leader
	defer func() { l.resign() }()
	tick := time.NewTicker(r.cfg.Poll)
	defer tick.Stop()
	for failures := 0; ; {
		err := r.tendMemory(ctx)
		if err == nil && l == nil {
			l, err = r.elect(ctx)
		}
		if err == nil && l != nil {
			if err = l.sweep(ctx, working); err != nil {
				l.resign()
				l = nil
			}
		}
		switch {
		case err == nil:
			failures = 0
		case ctx.Err() == nil:
			if failures++; failures == 1 || failures%20 == 0 {
				r.cfg.Log.Warn("could not look after the outbox, trying again", "attempt", failures, "err", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

const standingSQL = `SELECT id, topic, key FROM outbox WHERE xid > '0'::xid8 AND xid >= $1::text::xid8 ORDER BY xid, id LIMIT $2`

// tendMemory opens memory when it is closed and may open, and opens the lanes whose rows were recovered.
func (r *Relay) tendMemory(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	if shut := r.memory.shut(); len(shut) > 0 {
		standing, err := r.standing(ctx, shut)
		if err != nil {
			return fmt.Errorf("look for recovered rows: %w", err)
		}
		r.memory.recovered(shut, standing)
	}
	if !r.memory.roomToOpen() {
		return nil
	}
	from, _, err := r.front.advance(ctx)
	var rows pgx.Rows
	if err == nil {
		rows, err = r.cfg.Pool.Query(ctx, standingSQL, from, maxStanding+1)
	}
	var standing []Row
	if err == nil {
		standing, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (out Row, err error) {
			err = row.Scan(&out.ID, &out.Record.Topic, &out.Record.Key)
			return out, err
		})
	}
	if err != nil || len(standing) > maxStanding {
		r.memory.stayClosed()
		if err != nil {
			err = fmt.Errorf("look for rows in the outbox: %w", err)
		}
		return err
	}
	r.memory.opened(standing)
	return nil
}

// leader is this process while it holds the lock. Everything that needs the lock goes through the connection that has
// it: when the connection is lost, so is the lock, and the next statement fails.
type leader struct {
	relay  *Relay
	conn   *pgxpool.Conn
	cursor cursor
	bounds []bound // observations, oldest first
}

type cursor struct {
	xid string
	id  int64
}

// bound is an xid below which no transaction was open at a time.
type bound struct {
	xmin string
	at   time.Time
}

const (
	lockSQL   = `SELECT pg_try_advisory_lock(hashtextextended(current_schema() || '.outbox', 0))`
	unlockSQL = `SELECT pg_advisory_unlock(hashtextextended(current_schema() || '.outbox', 0))`
)

// Rows of a restored database carry xids of another cluster, which may lie in our future. No open transaction has an
// xid at or above the snapshot's xmax, so rows that are visible and say so are such rows.
const adoptSQL = `UPDATE outbox SET xid = pg_current_xact_id()
WHERE xid > '0'::xid8 AND xid >= pg_snapshot_xmax(pg_current_snapshot())`

// elect returns nil without an error when another replica holds the lock.
func (r *Relay) elect(ctx context.Context) (*leader, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	conn, err := r.cfg.Pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to recover the outbox: %w", err)
	}
	l := &leader{relay: r, conn: conn, cursor: cursor{xid: "0"}}
	var ours bool
	if err := conn.QueryRow(ctx, lockSQL).Scan(&ours); err != nil {
		l.resign()
		return nil, fmt.Errorf("lock the outbox for recovery: %w", err)
	}
	if !ours {
		conn.Release()
		return nil, nil
	}
	if _, err := conn.Exec(ctx, adoptSQL); err != nil {
		l.resign()
		return nil, fmt.Errorf("adopt rows of a restored outbox: %w", err)
	}
	return l, nil
}

// resign gives the lock up. A connection that cannot be unlocked is closed, which unlocks it. Safe on nil.
func (l *leader) resign() {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := l.conn.Exec(ctx, unlockSQL); err != nil {
		_ = l.conn.Conn().Close(ctx)
	}
	l.conn.Release()
}

const xminSQL = `SELECT pg_snapshot_xmin(pg_current_snapshot())::text`

// observe notes the bound of now and returns the newest one that is at least Grace old, "" when there is none yet.
func (l *leader) observe(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	b := bound{at: time.Now()} // before asking: the bound is at least this old
	if err := l.conn.QueryRow(ctx, xminSQL).Scan(&b.xmin); err != nil {
		return "", fmt.Errorf("ask for the oldest open transaction: %w", err)
	}
	l.bounds = append(l.bounds, b)
	old := -1
	for i, b := range l.bounds {
		if time.Since(b.at) >= l.relay.cfg.Grace {
			old = i
		}
	}
	if old < 0 {
		return "", nil
	}
	l.bounds = l.bounds[old:]
	return l.bounds[0].xmin, nil
}

// sweep publishes what stands between the cursor and the bound. It looks at ctx between pages; working is what a page
// publishes and deletes with.
func (l *leader) sweep(ctx, working context.Context) error {
	below, err := l.observe(ctx)
	if err != nil || below == "" {
		return err
	}
	for ctx.Err() == nil {
		reached, err := l.page(working, below)
		switch {
		case err != nil:
			return err
		case reached == overtakes:
			return nil
		case reached == bottom:
			// Everything below the bound was seen, and nothing can appear there any more.
			l.cursor = cursor{xid: below}
			return nil
		}
	}
	return nil
}

// reach is how far a page got.
type reach int

const (
	further   reach = iota // there may be more
	bottom                 // that was all
	overtakes              // the next row must wait for one before it that is in memory
)

// The text of the xid must not be called xid: ORDER BY would take it for the column, and sort 10 before 9.
const pageSQL = `SELECT id, xid::text AS xid_text, topic, key, value, headers, created_at FROM outbox
WHERE xid > '0'::xid8 AND (xid, id) > ($1::text::xid8, $2) AND xid < $3::text::xid8 ORDER BY outbox.xid, id LIMIT $4`

// page publishes and deletes the next rows and moves the cursor behind them.
func (l *leader) page(ctx context.Context, below string) (reach, error) {
	memory := l.relay.memory
	memory.reading(true)
	defer memory.reading(false)
	rows, err := l.read(ctx, below)
	if err != nil {
		return 0, err
	}
	reached, end := bottom, l.cursor
	if len(rows) == pageSize {
		reached = further
	}
	var left []Row
	for _, row := range rows {
		if !memory.ours(row.ID) {
			if memory.busy(laneOf(row.Row)) {
				reached = overtakes
				break
			}
			left = append(left, row.Row)
		}
		end = cursor{xid: row.xid, id: row.ID}
	}
	if len(left) > 0 {
		if err := l.relay.cfg.Publisher.PublishRecords(ctx, recordsOf(left)...); err != nil {
			return 0, fmt.Errorf("publish what was left in the outbox: %w", err)
		}
		l.relay.metrics.recovered.Add(float64(len(left)))
		l.relay.cfg.Log.Info(fmt.Sprintf("published %d messages that were left in the outbox", len(left)))
		if err := l.delete(ctx, left); err != nil {
			return 0, err
		}
	}
	l.cursor = end
	return reached, nil
}

// tableRow is a row with its place in the order of recovery.
type tableRow struct {
	Row
	xid string
}

func (l *leader) read(ctx context.Context, below string) ([]tableRow, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	result, err := l.conn.Query(ctx, pageSQL, l.cursor.xid, l.cursor.id, below, pageSize)
	if err != nil {
		return nil, fmt.Errorf("read what was left in the outbox: %w", err)
	}
	rows, err := pgx.CollectRows(result, func(row pgx.CollectableRow) (out tableRow, err error) {
		var headers []byte
		r := &out.Record
		if err = row.Scan(&out.ID, &out.xid, &r.Topic, &r.Key, &r.Value, &headers, &r.Time); err == nil {
			r.Headers, err = decodeHeaders(headers)
		}
		return out, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what was left in the outbox: %w", err)
	}
	return rows, nil
}

func (l *leader) delete(ctx context.Context, rows []Row) error {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	if _, err := l.conn.Exec(ctx, deleteSQL, idsOf(rows)); err != nil {
		return fmt.Errorf("delete what was published from the outbox: %w", err)
	}
	return nil
}
