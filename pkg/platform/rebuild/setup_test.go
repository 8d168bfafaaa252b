package rebuild

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, service.SchemaSQL)
	return errors.Join(err, conn.Close(ctx))
}

func setup(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testkit.Database(t, migrate).AdminURL)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func staging(t *testing.T, pool *pgxpool.Pool) *Staging {
	t.Helper()
	lease := &Lease{pool: pool, holder: "test"}
	require.NoError(t, lease.take(t.Context()))
	s, err := NewStaging(lease, nil)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// placed is a record as the service writes it.
func placed(t *testing.T, id string, offset int64, at time.Time) messages.Record {
	t.Helper()
	m := messages.Message{ID: "m-" + id, Source: "generated", Time: at,
		Event: messages.OrderPlaced{OrderID: id, UserID: "u", Total: messages.Money{Minor: 100, Currency: "USD"}, HasTotal: true}}
	r, err := m.Record()
	require.NoError(t, err)
	r.Partition, r.Offset = 2, offset
	return r
}

func rows(t *testing.T, pool *pgxpool.Pool, table string) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), fmt.Sprintf("SELECT count(*) FROM %s", table)).Scan(&n))
	return n
}
