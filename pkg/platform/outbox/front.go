package outbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// front is a place in the table's order (xid, id) before which there is nothing and never will be: what stood there is
// deleted, and no transaction is open that could still put a row there. Reads of the oldest rows begin at it. Without it they
// would go over all rows that were ever deleted, for as long as an open transaction keeps Postgres from clearing them away.
type front struct {
	pool *pgxpool.Pool

	mu  sync.Mutex
	xid string // rows have this xid or a later one
}

// beginning is before every row.
const beginning = "0"

func newFront(pool *pgxpool.Pool) *front { return &front{pool: pool, xid: beginning} }

// Rows of an open transaction have an xid of at least the snapshot's xmin; those that are visible say where they are. A
// database whose xmin is before the place asked for is another one, or restored: nothing is known of it.
const frontSQL = `SELECT least(pg_snapshot_xmin(now), oldest.xid)::text, pg_snapshot_xmin(now) < $1::text::xid8, oldest.created_at
FROM pg_current_snapshot() AS now LEFT JOIN LATERAL (
  SELECT xid, created_at FROM outbox WHERE xid > '0'::xid8 AND xid >= $1::text::xid8 ORDER BY outbox.xid, id LIMIT 1
) AS oldest ON true`

// advance moves the front as far as it goes now and returns it, and when the oldest row was put there: zero when there is none.
func (f *front) advance(ctx context.Context) (xid string, oldest time.Time, err error) {
	f.mu.Lock()
	from := f.xid
	f.mu.Unlock()
	for {
		var created *time.Time
		var another bool
		err := f.pool.QueryRow(ctx, frontSQL, from).Scan(&xid, &another, &created)
		if err != nil {
			return "", time.Time{}, fmt.Errorf("look at the oldest message in the outbox: %w", err)
		}
		if another && from != beginning {
			from = beginning
			continue
		}
		if created != nil {
			oldest = *created
		}
		f.mu.Lock()
		f.xid = xid
		f.mu.Unlock()
		return xid, oldest, nil
	}
}
