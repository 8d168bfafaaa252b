package pgdb_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const ddl = `
CREATE TABLE goose_db_version (version_id bigint NOT NULL, is_applied boolean NOT NULL);
INSERT INTO goose_db_version VALUES (0, true), (1, true);
CREATE TABLE things (
  name text PRIMARY KEY,
  size smallint NOT NULL CONSTRAINT thing_size CHECK (size > 0),
  CONSTRAINT thing_size_once UNIQUE (size) DEFERRABLE INITIALLY DEFERRED
);`

func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, ddl)
	return errors.Join(err, conn.Close(ctx))
}

// world is one test's database behind a proxy, and a pool of a single connection that goes through the proxy.
type world struct {
	t     *testing.T
	admin string // the database's URL past the proxy
	proxy *testkit.Proxy
	pool  *pgxpool.Pool
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, admin: testkit.Database(t, migrate).AdminURL}
	w.proxy = testkit.NewProxy(t, w.admin)
	w.pool = w.open(pgdb.Config{URL: w.proxy.Through(w.admin), MaxConns: 1})
	return w
}

func (w *world) open(cfg pgdb.Config) *pgxpool.Pool {
	w.t.Helper()
	pool, err := pgdb.Open(cfg)
	require.NoError(w.t, err)
	w.t.Cleanup(pool.Close)
	return pool
}

// scan runs a query with one value.
func scan[T any](t *testing.T, q pgdb.Querier, sql string) T {
	t.Helper()
	var v T
	require.NoError(t, q.QueryRow(t.Context(), sql).Scan(&v))
	return v
}

const (
	insertSQL = `INSERT INTO things VALUES ('a', 1)`
	countSQL  = `SELECT count(*) FROM things`
	pidSQL    = `SELECT pg_backend_pid()`
)

// faults are what the proxy does to new connections while the database is away.
var faults = map[string]func(*testkit.Proxy){"refuses": (*testkit.Proxy).Refuse, "hangs": (*testkit.Proxy).Hang}

// commitBound is in what a client sends to have its prepared COMMIT executed: the unnamed portal, and the name that pgx
// prepares the statement under. Preparing it has no portal.
var commitBound = func() []byte {
	sum := sha256.Sum256([]byte("commit"))
	return []byte("\x00stmtcache_" + hex.EncodeToString(sum[:24]) + "\x00")
}()
