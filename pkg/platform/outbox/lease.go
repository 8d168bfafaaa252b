package outbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// leaseFor is how long a holder that died keeps the other replicas from recovering.
const leaseFor = 5 * time.Second

// lease is the right to recover, which one replica at a time has:
//
//	free -- take --> held -- giveUp, or leaseFor without take --> free
//
// It is a row of a table, not a lock. A session's lock would stay behind on a pooler's connection, and a transaction's lock
// would keep a transaction open during calls to Kafka. So a holder that was frozen may continue after it lost the lease:
// messages are then published twice, with the same ids.
type lease struct {
	pool   *pgxpool.Pool
	holder string
	until  time.Time // this replica has the lease until then; zero = it does not
}

func newLease(pool *pgxpool.Pool) *lease { return &lease{pool: pool, holder: rand.Text()} }

// takeSQL uses the database's clock, since the replicas' clocks may differ.
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

// giveUp lets another replica take the lease at once. If the statement fails, the lease ends after leaseFor.
func (l *lease) giveUp() {
	if l.until.IsZero() {
		return
	}
	l.until = time.Time{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = l.pool.Exec(ctx, giveUpSQL, l.holder)
}
