package auditlog

import (
	"context"
	"fmt"
	"time"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
)

// Kind returns the entries of the audit log as rows that end. The service's role may not delete them: a function of the table's
// owner does, by the server's clock, and keeps entries that are younger than 30 days.
func Kind(keep time.Duration) retention.Kind {
	return retention.Kind{Name: "audit_log", Keep: keep, OldestSQL: `SELECT at FROM audit_log ORDER BY id LIMIT 1`,
		Sweep: func(ctx context.Context, tx *pgdb.Tx, s retention.Slice) (swept retention.Swept, err error) {
			if err = tx.QueryRow(ctx, pruneSQL, keep, s.Limit).Scan(&swept.Removed); err != nil {
				return swept, fmt.Errorf("prune the audit log: %w", err)
			}
			swept.More = swept.Removed == s.Limit
			return swept, nil
		}}
}

const pruneSQL = `SELECT prune_audit_log($1::interval, $2)`
