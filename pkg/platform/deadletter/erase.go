package deadletter

import (
	"context"
	"fmt"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
)

// pageSize bounds how many letters are in memory at once: each may have a megabyte.
const pageSize = 20

const pageSQL = `SELECT ` + letterColumns + ` FROM dead_letters WHERE id > $1 ORDER BY id LIMIT $2`

// Each calls do for every letter of the schema, oldest first, and stops at its first error.
func Each(ctx context.Context, q pgdb.Querier, do func(Letter) error) error {
	for after := int64(0); ; {
		page, err := pgdb.Collect(ctx, q, scanLetter, pageSQL, after, pageSize)
		if err != nil {
			return fmt.Errorf("read dead letters: %w", err)
		}
		for _, l := range page {
			if err := do(l); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// The position stays, because the audit of the topics must not miss the record, and a rebuild must not have it read again.
const eraseSQL = `WITH gone AS (DELETE FROM dead_letters WHERE id = ANY($1) RETURNING topic, partition, record_offset, last_offset, record_time, reason, state)
INSERT INTO erased_letters (topic, partition, record_offset, last_offset, record_time, reason, replayed)
SELECT topic, partition, record_offset, coalesce(last_offset, record_offset), record_time, reason, state = 'replayed' FROM gone ON CONFLICT DO NOTHING`

// Erase deletes the letters that about reports, and keeps their positions in erased_letters. It returns how many they were.
func Erase(ctx context.Context, q pgdb.Querier, about func(Letter) bool) (int64, error) {
	var ids []int64
	err := Each(ctx, q, func(l Letter) error {
		if about(l) {
			ids = append(ids, l.ID)
		}
		return nil
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	if _, err := q.Exec(ctx, eraseSQL, ids); err != nil {
		return 0, fmt.Errorf("erase dead letters: %w", err)
	}
	return int64(len(ids)), nil
}

const passSQL = `INSERT INTO erased_letters (topic, partition, record_offset, last_offset, record_time, reason, replayed)
VALUES ($1, $2, $3, greatest($4::bigint, $3), $5, $6, false) ON CONFLICT DO NOTHING`

// Pass keeps the position of a record that no retry can handle, and nothing of its content: it is of an erased user.
func (s *Store) Pass(ctx context.Context, r messages.Record, reason string) error {
	if _, err := pgdb.Exec(ctx, s.pool, passSQL, r.Topic, r.Partition, r.Offset, r.LastOffset, r.Time, reason); err != nil {
		return fmt.Errorf("pass %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return nil
}
