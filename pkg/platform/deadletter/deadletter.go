// Package deadletter parks messages that can never succeed, with all that is needed to look at them and to try again.
//
// A parked message is a row of the service's own table dead_letters: the record's bytes, key, headers and coordinates,
// why it was parked, and a state:
//
//	parked -> replaying -> replayed
//	   |         `-> parked (it failed again, with the new reason)
//	   `-> discarded
//
// An operator lists, shows, replays and discards them over the admin port. Replaying puts the original record through
// the service's own use case once more, in the background: that publishes, and publishing never happens inside a
// request.
package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
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
	// ErrNotFound means that there is no letter with that id.
	ErrNotFound = errors.New("no such dead letter")
	// ErrNotParked means that the letter is not in the state parked, so it can be neither replayed nor discarded.
	ErrNotParked = errors.New("the dead letter is not parked")
)

// Letter is a message that was parked.
type Letter struct {
	ID       int64
	Record   messages.Record
	Reason   string // code, from fault.Reason
	Detail   string // the error's text
	Stack    string // of a panic, else ""
	State    string
	Attempts int // replays so far
	ParkedAt time.Time
}

// Store keeps the service's dead letters.
type Store struct{ pool *pgxpool.Pool }

// NewStore returns a store over the pool's schema.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// Park stores a message that can never succeed. Parking the same record again changes nothing.
func (s *Store) Park(ctx context.Context, r messages.Record, reason, detail, stack string) error {
	return Park(ctx, s.pool, r, reason, detail, stack)
}

// The record's time is part of its name: after a topic was made anew its offsets start again, and another record at an
// old offset must not be taken for the old one.
const parkSQL = `
INSERT INTO dead_letters (topic, partition, record_offset, record_time, key, value, headers, reason, detail, stack)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT ON CONSTRAINT dead_letter_parked_once DO NOTHING`

// Park is Store.Park inside the caller's transaction.
func Park(ctx context.Context, q pgdb.Querier, r messages.Record, reason, detail, stack string) error {
	headers, err := json.Marshal(toHeaderRows(r.Headers))
	if err != nil {
		return fmt.Errorf("encode headers: %w", err)
	}
	if _, err := pgdb.Exec(ctx, q, parkSQL, r.Topic, r.Partition, r.Offset, r.Time, r.Key, r.Value, headers,
		reason, printable(detail), printable(stack)); err != nil {
		return fmt.Errorf("park %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return nil
}

// headerRow keeps a header's bytes exactly: JSON would bend what is not UTF-8.
type headerRow struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

func toHeaderRows(headers []messages.Header) []headerRow {
	rows := make([]headerRow, len(headers))
	for i, h := range headers {
		rows[i] = headerRow{Key: []byte(h.Key), Value: h.Value}
	}
	return rows
}

// printable makes text fit for Postgres, which takes neither NUL nor invalid UTF-8.
func printable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

const letterColumns = `id, topic, partition, record_offset, record_time, key, value, headers, reason, detail, stack, state, attempts, parked_at`

func scanLetter(row pgx.CollectableRow) (Letter, error) {
	var l Letter
	var headers []byte
	err := row.Scan(&l.ID, &l.Record.Topic, &l.Record.Partition, &l.Record.Offset, &l.Record.Time, &l.Record.Key,
		&l.Record.Value, &headers, &l.Reason, &l.Detail, &l.Stack, &l.State, &l.Attempts, &l.ParkedAt)
	if err != nil {
		return Letter{}, err
	}
	var rows []headerRow
	if err := json.Unmarshal(headers, &rows); err != nil {
		return Letter{}, fmt.Errorf("headers of dead letter %d: %w", l.ID, err)
	}
	for _, h := range rows {
		l.Record.Headers = append(l.Record.Headers, messages.Header{Key: string(h.Key), Value: h.Value})
	}
	return l, nil
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

const listSQL = `SELECT ` + letterColumns + ` FROM dead_letters
WHERE id > $1 AND ($2 = '' OR state = $2) ORDER BY id LIMIT $3`

// List returns letters, oldest first.
func (s *Store) List(ctx context.Context, f Filter) ([]Letter, error) {
	letters, err := pgdb.Collect(ctx, s.pool, scanLetter, listSQL, f.After, f.State, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}

const changeSQL = `UPDATE dead_letters SET state = $2, changed_at = now() WHERE id = $1 AND state = 'parked'`

// Replay marks a parked letter for the Worker. It returns ErrNotFound or ErrNotParked.
func (s *Store) Replay(ctx context.Context, id int64) error { return s.change(ctx, id, StateReplaying) }

// Discard gives a parked letter up for good. It returns ErrNotFound or ErrNotParked.
func (s *Store) Discard(ctx context.Context, id int64) error {
	return s.change(ctx, id, StateDiscarded)
}

func (s *Store) change(ctx context.Context, id int64, state string) error {
	tag, err := pgdb.Exec(ctx, s.pool, changeSQL, id, state)
	if err != nil {
		return fmt.Errorf("mark dead letter %d %s: %w", id, state, err)
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	if _, err := s.Get(ctx, id); err != nil {
		return err
	}
	return ErrNotParked
}
