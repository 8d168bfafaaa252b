package pgdb_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/pgdb"
)

func TestOpenUsesTheSchemaAndTheNameOfTheService(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pool := w.open(pgdb.Config{URL: w.admin, Schema: "shop", AppName: "shop-1", MaxConns: 3})
	require.Equal(t, "shop", scan[string](t, pool, "SHOW search_path"))
	require.Equal(t, "shop-1", scan[string](t, pool, "SHOW application_name"))
	require.EqualValues(t, 3, pool.Config().MaxConns)
}

// A plan that is made while a table is small is kept while it grows.
func TestRowsAreFoundByKeyAlsoInSmallTables(t *testing.T) {
	t.Parallel()
	w := setup(t)
	admin := w.open(pgdb.Config{URL: w.admin, Schema: "shop"})
	_, err := admin.Exec(t.Context(), `CREATE SCHEMA shop; CREATE TABLE shelves (id text PRIMARY KEY, size int);
INSERT INTO shelves SELECT n, n FROM generate_series(1, 20) n`)
	require.NoError(t, err)
	for _, sql := range []string{
		`SELECT * FROM shelves WHERE id = ANY('{1,2,3,4,5,6,7,8}')`,
		`UPDATE shelves s SET size = u.size FROM unnest('{1,2,3}'::text[], '{1,2,3}'::int[]) u (id, size) WHERE s.id = u.id`,
	} {
		rows, err := admin.Query(t.Context(), "EXPLAIN (FORMAT JSON) "+sql)
		require.NoError(t, err)
		plan, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Contains(t, plan, `"Index Name": "shelves_pkey"`)
		require.NotContains(t, plan, "Seq Scan")
		require.NotContains(t, plan, "JIT")
	}
}

// A plan for the rows of just one batch looks cheaper than the one there is, and costs more to make than it saves.
func TestAStatementIsPlannedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const sql = `SELECT name FROM things WHERE name = ANY($1)`
	for range 20 {
		_, err := w.pool.Exec(t.Context(), sql, []string{"a"})
		require.NoError(t, err)
	}
	var anew, kept int
	require.NoError(t, w.pool.QueryRow(t.Context(), `SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE statement = $1`, sql).
		Scan(&anew, &kept))
	require.Zero(t, anew)
	require.Equal(t, 20, kept)
}

func TestOpenRefusesWhatIsNoURLWithoutTellingThePassword(t *testing.T) {
	t.Parallel()
	_, err := pgdb.Open(pgdb.Config{URL: "postgres://shop:sesame@local host/shop"})
	require.ErrorContains(t, err, "database URL: ")
	require.NotContains(t, err.Error(), "sesame")
}

// log is what Wait says.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.FieldsFunc(l.text.String(), func(r rune) bool { return r == '\n' })
}

// says waits for the first line and expects it to hold the words.
func (l *log) says(t *testing.T, words string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(l.lines()) > 0 }, 30*time.Second, 5*time.Millisecond)
	require.Contains(t, l.lines()[0], `"msg":"waiting for the database"`)
	require.Contains(t, l.lines()[0], words)
}

// waiting begins to wait.
func (w *world) waiting() (*log, <-chan error, context.CancelFunc) {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.t.Cleanup(cancel)
	out := &log{}
	result := make(chan error, 1)
	go func() { result <- pgdb.Wait(ctx, w.pool, slog.New(slog.NewJSONHandler(out, nil))) }()
	return out, result, cancel
}

func TestADatabaseThatIsDownIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, begin := range faults {
		w := setup(t)
		begin(w.proxy)
		out, result, _ := w.waiting()
		out.says(t, "failed to connect")
		require.Eventually(t, func() bool { return w.proxy.Connections() >= 3 }, 30*time.Second, 5*time.Millisecond)
		require.Len(t, out.lines(), 1, "not a line for every attempt")
		require.Empty(t, result)
		w.proxy.Resume()
		w.proxy.Cut()
		require.NoError(t, <-result)
	}
}

func TestASchemaThatIsNotMigratedIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, unmigrated := range []string{`ALTER TABLE goose_db_version RENAME TO later`, `DELETE FROM goose_db_version WHERE version_id > 0`,
		`UPDATE goose_db_version SET is_applied = false WHERE version_id > 0`} {
		w := setup(t)
		admin := w.open(pgdb.Config{URL: w.admin})
		_, err := admin.Exec(t.Context(), unmigrated)
		require.NoError(t, err)
		out, result, _ := w.waiting()
		out.says(t, "not migrated yet (run `pas migrate`)")
		require.Empty(t, result)
		_, err = admin.Exec(t.Context(), `DROP TABLE IF EXISTS goose_db_version, things; `+ddl)
		require.NoError(t, err)
		require.NoError(t, <-result)
	}
}

func TestWaitingEndsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.proxy.Refuse()
	out, result, cancel := w.waiting()
	out.says(t, "")
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
}

func TestAWrongPasswordIsToldInOneLine(t *testing.T) {
	t.Parallel()
	server, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	admin, err := pgx.Connect(t.Context(), server.AdminURL("postgres"))
	require.NoError(t, err)
	defer admin.Close(context.Background())
	_, err = admin.Exec(t.Context(), `CREATE ROLE shop LOGIN PASSWORD 'sesame'`)
	require.NoError(t, err)

	w := &world{t: t}
	guess := pgdb.WithLogin(server.AdminURL("postgres"), "shop", "open")
	w.pool = w.open(pgdb.Config{URL: guess})
	out, result, cancel := w.waiting()
	out.says(t, `password authentication failed for user \"shop\"`)
	require.Len(t, out.lines(), 1)
	require.NotContains(t, out.lines()[0], "open")
	require.NotContains(t, out.lines()[0], "sesame")
	require.Empty(t, result, "it may be set right")
	cancel()
	require.Error(t, <-result)
}
