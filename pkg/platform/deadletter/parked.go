package deadletter

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
)

// A record of a copy of the topic has another position, and the same time and value.
const parkedSQL = `SELECT EXISTS (SELECT FROM dead_letters
  WHERE topic = $1 AND record_time = $2 AND (partition = $3 AND record_offset = $4 OR coalesce(value_sha256, sha256(value)) = $5))
  OR EXISTS (SELECT FROM erased_letters WHERE topic = $1 AND record_time = $2 AND partition = $3 AND record_offset = $4)`

// parkedBatchSQL finds a batch that could not be read. Its letter has its offsets.
const parkedBatchSQL = `SELECT EXISTS (SELECT FROM dead_letters WHERE topic = $1 AND partition = $2 AND record_offset = $3 AND last_offset IS NOT NULL)
  OR EXISTS (SELECT FROM erased_letters WHERE topic = $1 AND partition = $2 AND record_offset = $3)`

// Parked reports for each record whether the schema of the pool has a dead letter of it, in any state.
func Parked(ctx context.Context, pool *pgxpool.Pool, records []messages.Record) ([]bool, error) {
	parked := make([]bool, len(records))
	var batch pgx.Batch
	for i, r := range records {
		if r.LastOffset > 0 {
			batch.Queue(parkedBatchSQL, r.Topic, r.Partition, r.Offset).QueryRow(func(row pgx.Row) error { return row.Scan(&parked[i]) })
			continue
		}
		sum := sha256.Sum256(r.Value)
		batch.Queue(parkedSQL, r.Topic, r.Time, r.Partition, r.Offset, sum[:]).QueryRow(func(row pgx.Row) error { return row.Scan(&parked[i]) })
	}
	if err := pool.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("look for dead letters: %w", err)
	}
	return parked, nil
}
