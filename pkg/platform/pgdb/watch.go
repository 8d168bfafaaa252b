package pgdb

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// reportAfter is the time that a transaction may hold up statements of the service before it is reported.
	reportAfter = 5 * time.Second
	// lookEvery is the time between two readings. It is so short that several readings find each attempt at a lock, which ends
	// after lock_timeout.
	lookEvery = 2 * time.Second
	// logEvery is the time after which the log names the same transaction again.
	logEvery = time.Minute
	// forgetAfter is the number of readings in a row without a wait for a transaction, after which it is forgotten: between two
	// attempts at a lock no statement waits. It counts readings, not time: on a busy machine one may take longer than lookEvery.
	forgetAfter = 3
	// idleWithin is enough to get an idle connection, and too short to get one that waits for a lock.
	idleWithin = 20 * time.Millisecond
	// lookWithin bounds one reading.
	lookWithin = 2 * time.Second
)

// Watch reports transactions that hold up statements of the service: in the log, in Check and as a metric. A wait for a lock
// ends after lock_timeout and is retried, so Watch follows the transaction that holds the lock, not the wait.
type Watch struct {
	pool *pgxpool.Pool
	log  *slog.Logger

	every, after time.Duration

	mu      sync.Mutex
	holders map[transaction]*holder
	desc    *prometheus.Desc
}

// NewWatch makes a Watch over the sessions of the pool's role; Run runs it.
func NewWatch(pool *pgxpool.Pool, log *slog.Logger) *Watch {
	return &Watch{pool: pool, log: log, every: lookEvery, after: reportAfter, holders: make(map[transaction]*holder),
		desc: prometheus.NewDesc("pasdetrois_postgres_lock_wait_seconds",
			"How long one transaction has held up statements of this service; 0 when none has for 5 s.", nil, nil)}
}

// transaction is one transaction of a session. Under load a session often holds up another for a moment, each time with
// another transaction: that is no fault.
type transaction struct {
	pid     int
	virtual string
}

// holder is a transaction for which statements wait.
type holder struct {
	who     string
	waiting int
	since   time.Time // of the first wait for it
	missed  int       // readings in a row without a wait for it
	said    time.Time // when the log last named it; zero = never
}

// Run reads the waits every few seconds until ctx ends. While the database does not answer it reports nothing new.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		found, err := w.look(ctx)
		if err != nil {
			w.log.Debug("reading the waits for locks failed", "err", err)
			continue
		}
		w.note(found, time.Now())
	}
}

// readOnlySQL is also true of a standby.
const readOnlySQL = `SHOW transaction_read_only`

// Check is a readiness check: a connection is there, and its server takes writes. Connections to a server that takes none
// are closed, so that the next statement connects anew. A transaction that holds the service up is a remark, since
// the other replicas wait too.
func (w *Watch) Check(ctx context.Context) error {
	var readOnly string
	err := w.pool.QueryRow(ctx, readOnlySQL).Scan(&readOnly)
	held := w.longest(time.Now())
	switch {
	case err != nil && held != nil: // perhaps all connections wait
		return fmt.Errorf("%s: %w", held.text(time.Now()), err)
	case err != nil:
		return fmt.Errorf("read whether the server takes writes: %w", err)
	case readOnly == "on":
		w.pool.Reset()
		return ErrReadOnly
	case held != nil:
		return remark(held.text(time.Now()))
	}
	return nil
}

// remark is the result of a check that passes, with a text for an operator.
type remark string

func (r remark) Error() string { return string(r) }
func (r remark) Passed() bool  { return true }

// Each role sees which session waits for which, and each application's name. The state of another role's session is hidden.
const waitsSQL = `WITH waiting AS (
  SELECT pid, pg_blocking_pids(pid) AS held_by,
    (SELECT clock_timestamp() - min(waitstart) FROM pg_locks AS l WHERE l.pid = a.pid AND NOT l.granted) AS waited
  FROM pg_stat_activity AS a
  WHERE datname = current_database() AND usename = current_user AND wait_event_type = 'Lock'
)
SELECT h.pid, COALESCE((SELECT min(virtualtransaction) FROM pg_locks AS l WHERE l.pid = h.pid), '') AS virtual,
  CASE WHEN h.pid = 0 THEN 'a prepared transaction, see pg_prepared_xacts'
    ELSE concat_ws(', ', 'pid ' || h.pid, NULLIF(s.application_name, ''), 'role ' || s.usename, s.state,
      'from ' || host(s.client_addr)) END AS who,
  count(*) AS waiting, COALESCE(max(extract(epoch FROM waited)), 0)::float8 AS waited
FROM waiting CROSS JOIN LATERAL (SELECT DISTINCT unnest(held_by) AS pid) AS h LEFT JOIN pg_stat_activity AS s ON s.pid = h.pid
WHERE h.pid NOT IN (SELECT pid FROM waiting)
GROUP BY h.pid, virtual, who`

// lockWait is one line of waitsSQL.
type lockWait struct {
	transaction
	who     string
	waiting int
	seconds float64
}

// look reads the waits over an idle connection of the pool, else over one of its own. It never queues for a connection of the
// pool: these may wait for a lock themselves, and look would get one only when its wait is over.
func (w *Watch) look(ctx context.Context) ([]lockWait, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	var q Querier
	if w.pool.Stat().IdleConns() > 0 {
		short, stop := context.WithTimeout(ctx, idleWithin)
		conn, err := w.pool.Acquire(short)
		stop()
		if err == nil {
			defer conn.Release()
			q = conn
		}
	}
	if q == nil {
		cfg := w.pool.Config()
		err := cfg.BeforeConnect(ctx, cfg.ConnConfig) // leaves out parameters that a pooler refuses
		var own *pgx.Conn
		if err == nil {
			own, err = pgx.ConnectConfig(ctx, cfg.ConnConfig)
		}
		if err != nil {
			return nil, err
		}
		defer own.Close(context.WithoutCancel(ctx))
		q = own
	}
	return Collect(ctx, q, func(row pgx.CollectableRow) (found lockWait, err error) {
		err = row.Scan(&found.pid, &found.virtual, &found.who, &found.waiting, &found.seconds)
		return found, err
	}, waitsSQL)
}

// note updates the holders, and logs those that last and those that are gone.
func (w *Watch) note(found []lockWait, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.holders {
		h.missed++
	}
	for _, f := range found {
		h := w.holders[f.transaction]
		if h == nil {
			h = &holder{since: now}
			w.holders[f.transaction] = h
		}
		h.who, h.waiting, h.missed = f.who, f.waiting, 0
		if began := now.Add(-time.Duration(f.seconds * float64(time.Second))); began.Before(h.since) {
			h.since = began
		}
	}
	for t, h := range w.holders {
		switch {
		case h.missed >= forgetAfter:
			delete(w.holders, t)
			if !h.said.IsZero() {
				w.log.Info(fmt.Sprintf("nothing waits any more for a lock that %s held", h.who))
			}
		case now.Sub(h.since) >= w.after && now.Sub(h.said) >= logEvery:
			h.said = now
			w.log.Warn(h.text(now))
		}
	}
}

func (h *holder) text(now time.Time) string {
	return fmt.Sprintf("%d statements wait for a lock, held up for %s by a transaction of %s", h.waiting,
		now.Sub(h.since).Round(time.Second), h.who)
}

// longest returns a copy of the holder that holds the service up for longest, nil when none does for long enough.
func (w *Watch) longest(now time.Time) *holder {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest *holder
	for _, h := range w.holders {
		if now.Sub(h.since) >= w.after && (longest == nil || h.since.Before(longest.since)) {
			copied := *h
			longest = &copied
		}
	}
	return longest
}

// Describe implements prometheus.Collector.
func (w *Watch) Describe(ch chan<- *prometheus.Desc) { ch <- w.desc }

// Collect implements prometheus.Collector. A scrape asks no database.
func (w *Watch) Collect(ch chan<- prometheus.Metric) {
	now, seconds := time.Now(), 0.0
	if h := w.longest(now); h != nil {
		seconds = now.Sub(h.since).Seconds()
	}
	ch <- prometheus.MustNewConstMetric(w.desc, prometheus.GaugeValue, seconds)
}
