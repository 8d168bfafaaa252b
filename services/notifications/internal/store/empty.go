package store

import (
	"context"
	"fmt"
	"time"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
)

// EndingTexts returns the texts and addresses of notifications as what ends. The row stays: it is what makes a request count
// once. A notification stays whole while it is pending, while its event is still to be published, and while it is younger than
// keep.
func EndingTexts(keep time.Duration) retention.Kind {
	return retention.Kind{Name: "notifications", Keep: keep, Sweep: emptyTexts,
		OldestSQL: `SELECT created_at FROM notifications ORDER BY id LIMIT 1`}
}

// Ids rise with the time of storing, so the primary key leads to the oldest rows, and a slice of young rows ends the pass. The
// reason of a failure has the mail server's words, which may have the address. A row that is locked is being retried.
const emptySQL = `
WITH looked AS (
  SELECT id, created_at FROM notifications WHERE id > $1 ORDER BY id LIMIT $2
), old AS (
  SELECT id FROM notifications WHERE id = ANY (ARRAY(SELECT id FROM looked WHERE created_at < $3))
    AND status <> 'pending' AND recorded AND recipient <> '' AND greatest(created_at, sent_at, failed_at) < $3
  FOR UPDATE SKIP LOCKED
), emptied AS (
  UPDATE notifications SET message = '', recipient = '', trace_parent = '', reason = CASE WHEN status = 'failed' THEN 'removed' ELSE '' END
  WHERE id = ANY (ARRAY(SELECT id FROM old)) RETURNING 1
)
SELECT count(*), count(*) FILTER (WHERE created_at < $3), coalesce(max(id) FILTER (WHERE created_at < $3), $1), (SELECT count(*) FROM emptied)
FROM looked`

func emptyTexts(ctx context.Context, tx *pgdb.Tx, slice retention.Slice) (swept retention.Swept, err error) {
	var looked, old int
	err = tx.QueryRow(ctx, emptySQL, slice.After.ID, slice.Limit, slice.Before).Scan(&looked, &old, &swept.Last.ID, &swept.Removed)
	if err != nil {
		return swept, fmt.Errorf("empty old notifications: %w", err)
	}
	swept.More = looked == slice.Limit && old > 0
	return swept, nil
}
