package migrations

import (
	"context"
	"fmt"
)

// Capture is the usual name of the role of change data capture.
const Capture = "cdc"

// Publication is the name of the publication for change data capture: rows that are added to order_events, and nothing else.
const Publication = "pasdetrois_cdc"

// AllowCapture lets a role that exists connect, read order_events and replicate, and makes the publication that it reads. The schema
// of orders has to be there. REPLICATION lets a role read the whole server where pg_hba.conf lets it, so this is done only
// where an operator asks for it. A role that has REPLICATION already is not altered, because only a superuser may do so.
// Safe to run again.
func AllowCapture(ctx context.Context, adminURL, role string) error {
	admin, _, err := connect(ctx, adminURL)
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	var statements string
	if err := admin.QueryRow(ctx, captureSQL, role, Publication).Scan(&statements); err != nil {
		return fmt.Errorf("rights of role %s: %w", role, err)
	}
	err = again(func() error {
		_, err := admin.Exec(ctx, statements)
		return err
	})
	if err != nil {
		return fmt.Errorf("rights of role %s: %w", role, err)
	}
	return letIn(ctx, admin, role)
}

// The publication carries inserts alone: the timeline of an order only grows. So neither a clean-up of old rows nor a dropped
// partition reaches the topic. Readers would take it for a change of the order. Rows of partitions are published under the
// table's own name.
//
// The server writes the statements, because they take no parameters.
const captureSQL = `
SELECT 'SELECT pg_advisory_xact_lock(7310462); '
  || CASE WHEN NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1::text AND rolreplication)
       THEN format('ALTER ROLE %I REPLICATION; ', $1) ELSE '' END
  || CASE WHEN NOT EXISTS (SELECT FROM pg_publication WHERE pubname = $2::text)
       THEN format('CREATE PUBLICATION %I FOR TABLE orders.order_events WITH (publish = ''insert'', publish_via_partition_root = true); ', $2)
       ELSE '' END
  || format('GRANT USAGE ON SCHEMA orders TO %1$I; GRANT SELECT ON orders.order_events TO %1$I', $1)`
