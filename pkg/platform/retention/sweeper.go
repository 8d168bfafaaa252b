package retention

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
)

// Kind is one kind of rows that end.
type Kind struct {
	Name string        // in metrics and in the log
	Keep time.Duration // 0 = for ever: nothing is swept
	// Sweep removes those rows of one slice that may go, and reports where the next slice begins. It runs again when the
	// database undoes the transaction.
	Sweep func(ctx context.Context, tx *pgdb.Tx, s Slice) (Swept, error)
	// OldestSQL returns the time of the oldest row, for the metrics; "" = it is not cheap to find.
	OldestSQL string
}

// Slice is the part of a kind's rows that one call of Sweep may look at.
type Slice struct {
	Before time.Time // a row that has changed since stays
	After  Position  // the row before the slice
	Limit  int       // rows at most
}

// Position names a row in the order in which a kind is read. A kind uses the fields that it needs. The zero value is before all
// rows.
type Position struct {
	At  time.Time
	Key string
	ID  int64
}

// Swept is the result of one slice.
type Swept struct {
	Removed int
	Last    Position // of the rows that were looked at
	More    bool     // there may be old rows behind it
}

const (
	// sliceRows bounds the rows of one transaction.
	sliceRows = 250
	// passEvery is the pause between two passes over all kinds.
	passEvery = 10 * time.Minute
	// againEvery is when a kind is read from its first row again. Until then a pass goes on where the one before ended: a row
	// that could not go then is looked at again after this time.
	againEvery = 24 * time.Hour
	// share is how many times as long as a slice took the sweeper pauses after it, and leastPause the least pause.
	share      = 12
	leastPause = 20 * time.Millisecond
	// sliceTimeout bounds one slice.
	sliceTimeout = 10 * time.Second
)

// Config is what a Sweeper depends on. Zero durations mean the defaults above.
type Config struct {
	Pool    *pgxpool.Pool
	Replica string // its name in the table replicas
	Kinds   []Kind
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time // nil = time.Now

	Every time.Duration
	Rows  int
}

// Sweeper removes rows whose time is over. Run it once.
type Sweeper struct {
	cfg     Config
	kinds   []*kind
	metrics *metrics
}

// kind is a Kind with what the Sweeper remembers about it.
type kind struct {
	Kind
	after Position  // where the next pass goes on
	anew  time.Time // when a pass begins at the first row again
}

// New makes a Sweeper and registers its metrics.
func New(cfg Config) *Sweeper {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Every == 0 {
		cfg.Every = passEvery
	}
	if cfg.Rows == 0 {
		cfg.Rows = sliceRows
	}
	s := &Sweeper{cfg: cfg, metrics: newMetrics(cfg)}
	for _, k := range cfg.Kinds {
		if k.Keep > 0 {
			s.kinds = append(s.kinds, &kind{Kind: k})
		}
	}
	return s
}

// Run sweeps until ctx ends. A slice that has begun is finished. A kind that fails is tried again with the next pass, and the
// other kinds go on.
func (s *Sweeper) Run(ctx context.Context) error {
	for len(s.kinds) > 0 {
		if _, err := s.Pass(ctx); err != nil {
			s.cfg.Log.Warn("removing old rows failed, trying again later", "err", err)
		}
		if !wait.Sleep(ctx, s.cfg.Every) {
			return nil
		}
	}
	<-ctx.Done()
	return nil
}

// Pass goes once over all kinds and returns the number of rows that it removed. It ends at once, without an error, when it is
// another replica's turn, and when ctx ends.
func (s *Sweeper) Pass(ctx context.Context) (removed int, err error) {
	for _, k := range s.kinds {
		n, e := s.pass(ctx, k)
		removed += n
		if e != nil && err == nil {
			err = fmt.Errorf("%s: %w", k.Name, e)
		}
	}
	return removed, err
}

// pass sweeps one kind, slice by slice.
func (s *Sweeper) pass(ctx context.Context, k *kind) (removed int, err error) {
	now := s.cfg.Now()
	if !now.Before(k.anew) {
		k.after, k.anew = Position{}, now.Add(againEvery)
	}
	for ctx.Err() == nil {
		began := time.Now()
		swept, ours, err := s.slice(ctx, k, now.Add(-k.Keep))
		if err != nil || !ours {
			return removed, err
		}
		if swept.Last != (Position{}) {
			k.after = swept.Last
		}
		removed += swept.Removed
		s.metrics.removed.WithLabelValues(k.Name).Add(float64(swept.Removed))
		if !swept.More {
			s.metrics.finished.WithLabelValues(k.Name).Set(float64(s.cfg.Now().Unix()))
			break
		}
		if !wait.Sleep(ctx, max(leastPause, share*time.Since(began))) {
			break
		}
	}
	if removed > 0 {
		s.cfg.Log.Info(fmt.Sprintf("retention removed %d rows of %s", removed, k.Name))
	}
	return removed, nil
}

// turnSQL reports whether this replica may sweep. The lock ends with the transaction. The first name of the replicas that live
// decides; where none is listed, whoever asks may.
const turnSQL = `SELECT pg_try_advisory_xact_lock(hashtextextended('pasdetrois.retention.' || current_schema(), 0))
AND coalesce($1 <= (SELECT min(name) FROM replicas WHERE renewed_at > clock_timestamp() - interval '5 seconds'), true)`

// slice runs one transaction. A transaction that has begun is finished: after a cancelled commit its outcome would be unknown.
func (s *Sweeper) slice(ctx context.Context, k *kind, before time.Time) (swept Swept, ours bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sliceTimeout)
	defer cancel()
	err = pgdb.InTx(ctx, s.cfg.Pool, func(ctx context.Context, tx *pgdb.Tx) error {
		if err := tx.QueryRow(ctx, turnSQL, s.cfg.Replica).Scan(&ours); err != nil || !ours {
			return err
		}
		var err error
		swept, err = k.Sweep(ctx, tx, Slice{Before: before, After: k.after, Limit: s.cfg.Rows})
		return err
	})
	return swept, ours, err
}
