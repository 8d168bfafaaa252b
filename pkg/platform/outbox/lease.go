package outbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// leaseFor is how long a holder that says nothing any more keeps the others away.
const leaseFor = 5 * time.Second

// lease is what one replica at a time has. It is a row of a table, not a lock: a session's lock would stay behind on the
// connection of a pooler, and a transaction's would keep a transaction open while Kafka is asked. So a holder that was
// frozen may go on although it has lost the lease: then messages are published twice, with the same ids.
type lease struct {
	pool   *pgxpool.Pool
	holder string
	until  time.Time // ours until then; zero = not ours
}

func newLease(pool *pgxpool.Pool) *lease { return &lease{pool: pool, holder: rand.Text()} }

// takeSQL goes by the database's clock: the replicas' clocks may differ.
const takeSQL = `INSERT INTO outbox_lease AS held (holder, until) VALUES ($1, clock_timestamp() + $2::interval)
ON CONFLICT (single) DO UPDATE SET holder = EXCLUDED.holder, until = EXCLUDED.until
WHERE held.holder = EXCLUDED.holder OR held.until <= clock_timestamp()`

// take reports whether this replica has the lease for at least half of leaseFor from now.
func (l *lease) take(ctx context.Context) (bool, error) {
	if time.Until(l.until) > leaseFor/2 {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	l.until = time.Time{}
	asked := time.Now()
	tag, err := l.pool.Exec(ctx, takeSQL, l.holder, leaseFor)
	if err != nil {
		return false, fmt.Errorf("take the lease of the outbox: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	l.until = asked.Add(leaseFor)
	return true, nil
}

const giveUpSQL = `DELETE FROM outbox_lease WHERE holder = $1`

// giveUp lets another replica have it at once. What does not reach the database ends by itself.
func (l *lease) giveUp() {
	if l.until.IsZero() {
		return
	}
	l.until = time.Time{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = l.pool.Exec(ctx, giveUpSQL, l.holder)
}
