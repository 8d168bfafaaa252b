package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
)

// Bounds limit the table of dead letters. Whichever is reached first counts.
type Bounds struct {
	Letters int   `env:"DEAD_LETTERS_MAX" envDefault:"200000" desc:"dead letters that are kept at most; the oldest handled ones make room"`
	Bytes   int64 `env:"DEAD_LETTERS_MAX_BYTES" envDefault:"2147483648" desc:"bytes that the dead letters may take; the oldest handled ones make room"`
}

// The bounds of a program that sets none.
const (
	defaultLetters = 200_000
	defaultBytes   = 2 << 30
)

// Validate returns all problems joined. Zero means the default.
func (b Bounds) Validate() error {
	var errs []error
	if b.Letters != 0 && b.Letters < 1000 {
		errs = append(errs, fmt.Errorf("DEAD_LETTERS_MAX: %d is less than 1000", b.Letters))
	}
	if b.Bytes != 0 && b.Bytes < 16<<20 {
		errs = append(errs, fmt.Errorf("DEAD_LETTERS_MAX_BYTES: %d is less than 16777216 (16 MiB)", b.Bytes))
	}
	return errors.Join(errs...)
}

// ErrFull means that the table is full of letters that no operator has handled. No letter is dropped: the record waits in
// its partition, and readiness fails, until an operator replays or discards letters.
var ErrFull = errors.New("the dead letters are full and none of them is handled: replay or discard some, or raise DEAD_LETTERS_MAX or DEAD_LETTERS_MAX_BYTES")

const (
	// measureEvery is the greatest age of a measurement. Between two measurements a replica counts only its own letters. All
	// replicas together may pass the bound by the letters that they park within this time.
	measureEvery = time.Second
	// evictSlice bounds the handled letters that one statement deletes, so that it holds no locks for long.
	evictSlice = 500
)

// room keeps the table within its bounds.
type room struct {
	pool    *pgxpool.Pool
	bounds  Bounds
	turn    chan struct{} // held by one caller of make at a time
	evicted atomic.Int64  // letters, since the start

	// Guarded by turn.
	measured time.Time
	letters  int
	bytes    int64
	full     bool // as measured
}

func newRoom(pool *pgxpool.Pool, b Bounds) *room {
	b.Letters, b.Bytes = cmp.Or(b.Letters, defaultLetters), cmp.Or(b.Bytes, defaultBytes)
	return &room{pool: pool, bounds: b, turn: make(chan struct{}, 1)}
}

// make returns nil once there is room for a letter of size bytes, or ErrFull. It counts the letter as stored: if the insert then
// fails, or finds the record parked already, the next measurement corrects the count.
//
// While the table is full it measures once per measureEvery, and answers all other calls from the last measurement: a partition
// full of bad records must not make each of them count the table.
func (r *room) make(ctx context.Context, size int64) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	fits := func() bool { return r.letters < r.bounds.Letters && r.bytes+size <= r.bounds.Bytes }
	if old := time.Since(r.measured) > measureEvery; old || !fits() && !r.full {
		if err := r.measure(ctx); err != nil {
			return err
		}
		for !fits() {
			deleted, err := r.evict(ctx)
			if err != nil {
				return err
			}
			if deleted == 0 {
				break
			}
		}
		r.full = !fits()
	}
	if !fits() {
		return ErrFull
	}
	r.letters++
	r.bytes += size
	return nil
}

const measureSQL = `SELECT count(*), coalesce(sum(stored_bytes), 0)::bigint FROM dead_letters`

// measure reads the letters and bytes of the table. The turn is held.
func (r *room) measure(ctx context.Context) error {
	letters, bytes, err := r.total(ctx, measureSQL)
	if err != nil {
		return fmt.Errorf("measure the dead letters: %w", err)
	}
	r.letters, r.bytes, r.measured = letters, bytes, time.Now()
	return nil
}

// total returns the count and the bytes of the letters that a statement has read or deleted.
func (r *room) total(ctx context.Context, sql string, args ...any) (letters int, bytes int64, err error) {
	err = pgdb.Retry(ctx, func(ctx context.Context) error { return r.pool.QueryRow(ctx, sql, args...).Scan(&letters, &bytes) })
	return letters, bytes, err
}

// The oldest handled letters are deleted first. A letter that is not handled is never deleted.
const evictSQL = `
WITH gone AS (
  DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters WHERE state IN ('replayed', 'discarded') ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
  RETURNING stored_bytes)
SELECT count(*), coalesce(sum(stored_bytes), 0)::bigint FROM gone`

// evict deletes some handled letters, and returns their number, 0 when there are none. The turn is held.
func (r *room) evict(ctx context.Context) (deleted int, err error) {
	deleted, bytes, err := r.total(ctx, evictSQL, evictSlice)
	if err != nil {
		return 0, fmt.Errorf("delete old dead letters: %w", err)
	}
	r.letters -= deleted
	r.bytes -= bytes
	r.evicted.Add(int64(deleted))
	return deleted, nil
}
