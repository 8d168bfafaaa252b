package presence_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/presence"
	"pasdetrois/pkg/platform/testkit"
)

const ddl = `
CREATE UNLOGGED TABLE replicas (
    name       text        NOT NULL PRIMARY KEY,
    renewed_at timestamptz NOT NULL DEFAULT clock_timestamp()
)`

func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, ddl)
	return errors.Join(err, conn.Close(ctx))
}

type told chan string

func (c told) TakeOver(_ context.Context, replica string) error {
	c <- replica
	return nil
}

// start runs a replica on a connection of its own and returns how it ends.
func start(t *testing.T, db *testkit.DB, name string, successor presence.Successor) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := presence.New(presence.Config{DB: db.OneConn(t, ""), Name: name, Successor: successor, Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

func names(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT name FROM replicas ORDER BY name`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return all
}

func TestReplicasOnARealTable(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrate)
	pool := db.OneConn(t, "")
	_, err := pool.Exec(t.Context(), `INSERT INTO replicas (name) VALUES ('killed')`)
	require.NoError(t, err)
	b, c := make(told, 10), make(told, 10)
	endB, endC := start(t, db, "b", b), start(t, db, "c", c)
	for _, ch := range []told{b, c} {
		select {
		case name := <-ch:
			require.Equal(t, "killed", name)
		case <-time.After(30 * time.Second):
			t.Fatal("nobody was named")
		}
	}
	require.Equal(t, []string{"b", "c", "killed"}, names(t, pool))
	endC()
	require.Equal(t, []string{"b", "killed"}, names(t, pool))
	endB()
	require.Equal(t, []string{"killed"}, names(t, pool))
	require.Empty(t, b)
	require.Empty(t, c)
}

func TestNamesOfReplicasDiffer(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, presence.NewName(), presence.NewName())
	require.Regexp(t, `^[A-Za-z0-9-]{1,40}-[0-9a-f]{8}$`, presence.NewName())
}
