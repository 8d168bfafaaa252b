//go:build cdc

package cdc

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// timeline adds rows to order_events as the service does: an order's rows in the order of their numbers, whatever the
// transactions of other orders do meanwhile.
type timeline struct {
	t    *testing.T
	pool *pgxpool.Pool
	rows []string // ids of the rows that were committed
}

const addOrderSQL = `INSERT INTO orders (order_id, user_id, total_minor, currency, status, decided_by, version, created_at, updated_at, status_at)
VALUES ($1, 'u', 100, 'USD', 'pending', 'order_placed', 1, now(), now(), now())`

const addRowSQL = `INSERT INTO order_events (order_id, number, event, status_from, status_to, at)
VALUES ($1, $2, 'order_placed', '', 'pending', clock_timestamp())`

func (l *timeline) add(order string, numbers ...int) {
	l.t.Helper()
	for i, number := range numbers {
		if i == 0 {
			_, err := l.pool.Exec(l.t.Context(), addOrderSQL+` ON CONFLICT DO NOTHING`, order)
			require.NoError(l.t, err)
		}
		_, err := l.pool.Exec(l.t.Context(), addRowSQL, order, number)
		require.NoError(l.t, err)
		l.rows = append(l.rows, fmt.Sprintf("%s/%d", order, number))
	}
}

func TestEveryRowArrivesInOrder(t *testing.T) {
	server := testkit.OwnPostgres(t, "wal_level=logical", "max_slot_wal_keep_size=48MB", "min_wal_size=32MB", "max_wal_size=64MB")
	allow(t, server.AdminURL)
	written := &timeline{t: t, pool: server.Pool(t, "orders")}
	read := readTopic(t)
	connect := newWorker(t, server.AdminURL)

	// The rows that are there before lie in the file in the wrong order, as they may after a clean-up.
	for i := range 100 {
		written.add(fmt.Sprintf("before-%d", i), 3, 2, 1)
	}
	connect.start()
	read.await(written.rows)
	read.inOrder()

	// Connect is killed while rows come.
	for i := range 400 {
		written.add(fmt.Sprintf("live-%d", i%40), i/40+1)
		switch i {
		case 150:
			read.await(written.rows[:350]) // it is in the middle of its work
			connect.kill()
		case 250:
			connect.start()
		}
	}
	read.await(written.rows)
	read.inOrder()
}
