//go:build cdc

package cdc

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// timeline adds rows to order_events as the service does: one transaction after the other for each order.
type timeline struct {
	t    *testing.T
	pool *pgxpool.Pool
	rows []string // ids of the rows that were committed
}

const addOrderSQL = `INSERT INTO orders (order_id, user_id, total_minor, currency, status, decided_by, version, created_at, updated_at, status_at)
VALUES ($1, 'u', 100, 'USD', 'pending', 'order_placed', 1, now(), now(), now()) ON CONFLICT DO NOTHING`

const addRowSQL = `INSERT INTO order_events (order_id, number, event, status_from, status_to, at)
VALUES ($1, $2, 'order_placed', '', 'pending', clock_timestamp())`

func (l *timeline) add(order string, numbers ...int) {
	l.t.Helper()
	_, err := l.pool.Exec(l.t.Context(), addOrderSQL, order)
	require.NoError(l.t, err)
	for _, number := range numbers {
		_, err = l.pool.Exec(l.t.Context(), addRowSQL, order, number)
		require.NoError(l.t, err)
		l.rows = append(l.rows, fmt.Sprintf("%s/%d", order, number))
	}
}
