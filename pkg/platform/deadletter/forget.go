package deadletter

import (
	"context"
	"fmt"
	"time"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
)

// Kind returns the handled letters as rows that end: those that were replayed or discarded longer ago than keep, 0 = none. A
// letter that no operator has handled stays.
func (s *Store) Kind(keep time.Duration) retention.Kind {
	return retention.Kind{Name: "dead_letters", Keep: keep, Sweep: s.forget,
		OldestSQL: `SELECT parked_at FROM dead_letters ORDER BY id LIMIT 1`}
}

// The condition stands in the DELETE as well, because an operator may have a letter replayed again at the same time.
const forgetSQL = `
WITH looked AS (
  SELECT id FROM dead_letters WHERE id > $1 AND state IN ('replayed', 'discarded') ORDER BY id LIMIT $2
), gone AS (
  DELETE FROM dead_letters WHERE id = ANY (ARRAY(SELECT id FROM looked)) AND state IN ('replayed', 'discarded') AND changed_at < $3
  RETURNING 1
)
SELECT count(*), coalesce(max(id), $1), (SELECT count(*) FROM gone) FROM looked`

// forget removes old letters of one slice, in the order of their ids.
func (s *Store) forget(ctx context.Context, tx *pgdb.Tx, slice retention.Slice) (swept retention.Swept, err error) {
	var looked int
	err = tx.QueryRow(ctx, forgetSQL, slice.After.ID, slice.Limit, slice.Before).Scan(&looked, &swept.Last.ID, &swept.Removed)
	if err != nil {
		return swept, fmt.Errorf("forget handled dead letters: %w", err)
	}
	swept.More = looked == slice.Limit
	return swept, nil
}
