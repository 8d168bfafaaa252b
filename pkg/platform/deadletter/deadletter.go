// Package deadletter parks records that no retry can handle.
//
// A dead letter is a row of the service's own table dead_letters: the record's key, value, headers and position, the reason,
// and a state:
//
//	record --Park--> parked --Replay--> replaying --succeeded--> replayed
//	                  |  ^                  |
//	                  |  `-- failed again --'  (with the new reason)
//	                  `--Discard--> discarded
//
// An operator lists, shows, replays and discards dead letters over the admin port. Replay marks the letter. The Worker then
// runs the use case for the original record again. It does so in the background: use cases publish, and a request must not
// wait for Kafka. A replay that is cut off is repeated when its lease ends.
//
// A record is parked once, also when it is read again from a copy of its topic: topic, time, key, value and headers identify
// it. Its position is where it was read first.
//
// The table is bounded. The oldest handled letters (replayed, discarded) are deleted to make room. Without any the new
// record is not parked: it waits in its partition, and readiness fails, until an operator handles letters.
//
// Of a record that is too large the letter keeps the beginning, with the whole length and SHA-256. Of a batch that could not
// be read it keeps the offsets. Neither can be replayed.
package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/pgdb"
)

// The states of a letter. The table's CHECK dead_letter_state has the same set.
const (
	StateParked    = "parked"
	StateReplaying = "replaying"
	StateReplayed  = "replayed"
	StateDiscarded = "discarded"
)

var (
	// ErrNotFound means that no letter has the id.
	ErrNotFound = errors.New("no such dead letter")
	// ErrNotParked means that the letter is not in the state parked, so it can be neither replayed nor discarded.
	ErrNotParked = errors.New("the dead letter is not parked")
	// ErrNotWhole means that the letter does not hold the whole record, so it cannot be replayed.
	ErrNotWhole = errors.New("the dead letter does not hold the whole record, so it cannot be replayed")
)

// Letter is a dead letter: a parked record.
type Letter struct {
	ID       int64
	Record   messages.Record
	Reason   string // code, from fault.Reason
	Detail   string // the error's text
	Stack    string // of a panic, else ""
	State    string
	Attempts int // replays so far
	ParkedAt time.Time
	Whole    Whole // sizes of the parts that were cut
}

// Store keeps the service's dead letters. Safe for concurrent use.
type Store struct {
	pool  *pgxpool.Pool
	room  *room
	count *prometheus.CounterVec // of letters added, by reason
}

// NewStore returns a store over the pool's schema, with the default bounds.
func NewStore(pool *pgxpool.Pool) *Store { return NewBoundedStore(pool, Bounds{}) }

// NewBoundedStore returns a store over the pool's schema.
func NewBoundedStore(pool *pgxpool.Pool, b Bounds) *Store {
	return &Store{pool: pool, room: newRoom(pool, b), count: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pasdetrois_messages_parked_total",
		Help: "Messages that this process parked as dead letters, by reason. One that is read and parked again is not counted again.",
	}, []string{"reason"})}
}

// A value that is longer than any letter's is older than the bound: only its beginning is read, and the letter counts as cut.
const letterColumns = `id, topic, partition, record_offset, record_time, key,
  CASE WHEN octet_length(value) > 1048576 THEN substring(value FROM 1 FOR 65536) ELSE value END, headers, reason, detail, stack, state,
  attempts, parked_at, coalesce(last_offset, 0), coalesce(value_bytes, nullif(greatest(octet_length(value), 1048576), 1048576), 0),
  value_sha256, coalesce(key_bytes, 0), coalesce(headers_bytes, 0)`

func scanLetter(row pgx.CollectableRow) (l Letter, err error) {
	err = row.Scan(&l.ID, &l.Record.Topic, &l.Record.Partition, &l.Record.Offset, &l.Record.Time, &l.Record.Key,
		&l.Record.Value, &l.Record.Headers, &l.Reason, &l.Detail, &l.Stack, &l.State, &l.Attempts, &l.ParkedAt,
		&l.Record.LastOffset, &l.Whole.Value, &l.Whole.SHA256, &l.Whole.Key, &l.Whole.Headers)
	return l, err
}

const getSQL = `SELECT ` + letterColumns + ` FROM dead_letters WHERE id = $1`

// Get returns one letter, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id int64) (Letter, error) {
	l, err := pgdb.CollectOne(ctx, s.pool, scanLetter, getSQL, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Letter{}, ErrNotFound
	}
	if err != nil {
		return Letter{}, fmt.Errorf("get dead letter %d: %w", id, err)
	}
	return l, nil
}

// Filter selects letters to list.
type Filter struct {
	State string // "" = every state
	After int64  // only letters with a greater id
	Limit int
}

// A list reads neither values nor headers, since hundreds of letters may have large ones. Other texts are cut.
const listSQL = `
SELECT id, topic, partition, record_offset, record_time, substring(key FROM 1 FOR 4096), reason, left(detail, 1000), state, attempts,
  parked_at, coalesce(last_offset, 0), coalesce(value_bytes, octet_length(value), 0), key_bytes IS NOT NULL OR headers_bytes IS NOT NULL
  OR value_bytes IS NOT NULL
FROM dead_letters
WHERE id > $1 AND ($2 = '' OR state = $2) ORDER BY id LIMIT $3`

// Summary is a letter as a list shows it.
type Summary struct {
	Letter           // without value, headers and stack
	ValueBytes int64 // of the whole value
	IsCut      bool
}

func scanSummary(row pgx.CollectableRow) (Summary, error) {
	var l Summary
	err := row.Scan(&l.ID, &l.Record.Topic, &l.Record.Partition, &l.Record.Offset, &l.Record.Time, &l.Record.Key, &l.Reason,
		&l.Detail, &l.State, &l.Attempts, &l.ParkedAt, &l.Record.LastOffset, &l.ValueBytes, &l.IsCut)
	return l, err
}

// List returns letters, oldest first.
func (s *Store) List(ctx context.Context, f Filter) ([]Summary, error) {
	letters, err := pgdb.Collect(ctx, s.pool, scanSummary, listSQL, f.After, f.State, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}

const changeSQL = `UPDATE dead_letters SET state = $2, changed_at = now() WHERE id = $1 AND state = 'parked'`

// Replay marks a parked letter for the Worker. It returns ErrNotFound, ErrNotParked, or ErrNotWhole for a letter that does
// not hold its whole record.
func (s *Store) Replay(ctx context.Context, id int64) error {
	l, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if err := l.replayable(); err != nil && l.State == StateParked {
		return err
	}
	return s.change(ctx, id, StateReplaying, "dead_letter.replay")
}

// replayable returns nil, or an error that wraps ErrNotWhole and names a remedy.
func (l Letter) replayable() error {
	r := l.Record
	switch {
	case r.LastOffset > 0:
		return fmt.Errorf("%w: it stands for the batch of offsets %d to %d of %s/%d, which was never read; have its producer write these records again, in smaller batches",
			ErrNotWhole, r.Offset, r.LastOffset, r.Topic, r.Partition)
	case l.Cut():
		return fmt.Errorf("%w: it was too large to be kept; the whole record is at offset %d of %s/%d while Kafka keeps it",
			ErrNotWhole, r.Offset, r.Topic, r.Partition)
	}
	return nil
}

// Discard marks a parked letter as handled without a replay, for good. It returns ErrNotFound or ErrNotParked.
func (s *Store) Discard(ctx context.Context, id int64) error {
	return s.change(ctx, id, StateDiscarded, "dead_letter.discard")
}

// change moves a letter out of the state parked. The state is in the WHERE clause, so of two callers at the same time only one
// succeeds.
//
// Its entry in the audit log is part of the same transaction.
func (s *Store) change(ctx context.Context, id int64, state, operation string) error {
	changed := false
	err := pgdb.InTx(ctx, s.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		tag, err := tx.Exec(ctx, changeSQL, id, state)
		if changed = err == nil && tag.RowsAffected() == 1; !changed {
			return err
		}
		var batch pgx.Batch
		if err := auditlog.Queue(ctx, &batch, auditlog.Entry{Operation: operation, Subject: strconv.FormatInt(id, 10)}); err != nil {
			return err
		}
		return tx.Finish(ctx, &batch)
	})
	if err != nil {
		return fmt.Errorf("mark dead letter %d %s: %w", id, state, err)
	}
	if changed {
		return nil
	}
	if _, err := s.Get(ctx, id); err != nil {
		return err
	}
	return ErrNotParked
}
