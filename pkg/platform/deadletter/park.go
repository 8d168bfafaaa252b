package deadletter

import (
	"context"
	"fmt"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
)

// Park stores a record that no retry can handle. Parking the same record again changes nothing. Without room it returns
// ErrFull, and the record waits. The caller acknowledges the record only after nil.
func (s *Store) Park(ctx context.Context, r messages.Record, reason, detail, stack string) error {
	l, err := newLetter(r, reason, detail, stack)
	if err != nil {
		return err
	}
	if err := s.room.make(ctx, l.size()); err != nil {
		return fmt.Errorf("park %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	added, err := l.insert(ctx, s.pool)
	if added {
		s.Count(reason)
	}
	return err
}

// ParkIn is Park inside the caller's transaction, without the bound: it is for records that the database already stores. When
// added is true the caller calls Count after the commit.
func (s *Store) ParkIn(ctx context.Context, q pgdb.Querier, r messages.Record, reason, detail, stack string) (added bool, err error) {
	l, err := newLetter(r, reason, detail, stack)
	if err != nil {
		return false, err
	}
	return l.insert(ctx, q)
}

// Count counts a letter that a committed transaction has added.
func (s *Store) Count(reason string) { s.count.WithLabelValues(reason).Inc() }

// newRow is a letter to insert.
type newRow struct {
	record                messages.Record
	whole                 Whole
	headers               []byte
	reason, detail, stack string
}

// newLetter cuts the record and its texts, and encodes the headers.
func newLetter(r messages.Record, reason, detail, stack string) (newRow, error) {
	l := newRow{reason: reason, detail: printable(detail), stack: printable(stack)}
	l.record, l.whole = cut(r)
	var err error
	l.headers, err = l.record.Headers.MarshalJSON()
	return l, err
}

// size is the letter's size in bytes as it counts for the bounds: its content, without Postgres's own overhead.
func (l newRow) size() int64 {
	return int64(len(l.record.Key) + len(l.record.Value) + len(l.headers) + len(l.detail) + len(l.stack))
}

// The constraint identifies a record by topic, time, key, value and headers. Partition and offset are not part of it: a copy
// of the topic in another cluster has other offsets, and reading the copy must park nothing twice. The column content has
// the digest.
const parkSQL = `
INSERT INTO dead_letters (topic, partition, record_offset, record_time, key, value, headers, reason, detail, stack,
  last_offset, value_bytes, value_sha256, key_bytes, headers_bytes, stored_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nullif($11::bigint, 0), nullif($12::bigint, 0), $13, nullif($14::bigint, 0),
  nullif($15::bigint, 0), $16)
ON CONFLICT ON CONSTRAINT dead_letter_parked_once DO NOTHING`

// insert reports whether the letter was added. It is false for a record that is parked already.
func (l newRow) insert(ctx context.Context, q pgdb.Querier) (added bool, err error) {
	r := l.record
	tag, err := pgdb.Exec(ctx, q, parkSQL, r.Topic, r.Partition, r.Offset, r.Time, r.Key, r.Value, l.headers, l.reason, l.detail,
		l.stack, r.LastOffset, l.whole.Value, l.whole.SHA256, l.whole.Key, l.whole.Headers, l.size())
	if err != nil {
		return false, fmt.Errorf("park %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, pgdb.OnConflict(err, "dead_letters"))
	}
	return tag.RowsAffected() == 1, nil
}
