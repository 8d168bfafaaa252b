package pgdb_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
)

func show(t *testing.T, pool *pgxpool.Pool, setting string) string {
	t.Helper()
	return scan[string](t, pool, "SHOW "+setting)
}

// A process that is frozen ends none of its transactions, so the server has to.
func TestASessionIsBoundedByTheServer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	want := map[string]string{"statement_timeout": "20s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "5s",
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3", "tcp_user_timeout": "25000",
		"client_connection_check_interval": "5s"}
	for setting, value := range want {
		require.Equal(t, value, show(t, w.pool, setting), setting)
	}
	const mine = "1234ms"
	for _, set := range []string{"lock_timeout=" + mine + "&client_connection_check_interval=" + mine,
		"options=-c%20lock_timeout%3D" + mine + "%20-cclient_connection_check_interval%3D" + mine} {
		pool := w.open(pgdb.Config{URL: w.admin + "&" + set})
		require.Equal(t, mine, show(t, pool, "lock_timeout"), "the URL decides")
		require.Equal(t, mine, show(t, pool, "client_connection_check_interval"), "the URL decides")
		require.Equal(t, "20s", show(t, pool, "statement_timeout"))
	}
}

// alter changes a default of the test's database, for sessions that begin afterwards.
func (w *world) alter(setting string) {
	w.t.Helper()
	_, err := w.pool.Exec(w.t.Context(), `ALTER DATABASE "`+scan[string](w.t, w.pool, `SELECT current_database()`)+`" SET `+setting)
	require.NoError(w.t, err)
	w.pool.Reset()
}

func TestTheIsolationIsOursWhateverTheDatabasesDefaultIs(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"serializable", "repeatable read"} {
		w := setup(t)
		w.alter("default_transaction_isolation = '" + level + "'")
		require.Equal(t, "read committed", show(t, w.pool, "transaction_isolation"))
		require.NoError(t, pgdb.InTx(t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
			_, err := tx.Exec(ctx, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE") // as a pooler leaves it
			return err
		}))
		require.NoError(t, pgdb.InTx(t.Context(), w.pool, func(ctx context.Context, tx *pgdb.Tx) error {
			var is string
			err := tx.QueryRow(ctx, "SHOW transaction_isolation").Scan(&is)
			require.Equal(t, "read committed", is)
			return err
		}))
	}
}

func TestAServerWithoutWritesIsNotUsedUnlessTheURLSaysSo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.alter("default_transaction_read_only = on")
	err := w.pool.Ping(t.Context())
	require.ErrorIs(t, err, pgdb.ErrReadOnly)
	require.True(t, pgdb.IsUnavailable(err))
	require.ErrorIs(t, pgdb.NewWatch(w.pool, nil).Check(t.Context()), pgdb.ErrReadOnly)
	pool := w.open(pgdb.Config{URL: w.admin + "&target_session_attrs=any"})
	require.NoError(t, pool.Ping(t.Context()))
	require.ErrorIs(t, pgdb.NewWatch(pool, nil).Check(t.Context()), pgdb.ErrReadOnly)
	for _, set := range []string{"read-only", "standby"} {
		require.ErrorContains(t, pgdb.CheckURL(w.admin+"&target_session_attrs="+set), "the services write")
	}
	require.Error(t, w.open(pgdb.Config{URL: w.admin + "&target_session_attrs=read-write"}).Ping(t.Context()))
	cfg, err := pgx.ParseConfig(w.admin)
	require.NoError(t, err)
	words := strings.Join([]string{"host=" + cfg.Host, "user=postgres", "password=" + cfg.Password, "sslmode=disable", "dbname=" + cfg.Database,
		"port=" + scan[string](t, w.open(pgdb.Config{URL: w.admin + "&target_session_attrs=any"}), "SHOW port")}, " ")
	require.ErrorIs(t, w.open(pgdb.Config{URL: words}).Ping(t.Context()), pgdb.ErrReadOnly)
	require.NoError(t, w.open(pgdb.Config{URL: words + " target_session_attrs=any"}).Ping(t.Context()))
}

// The connections of a demoted server still answer: the first that cannot write has all of them replaced.
func TestADemotedServersConnectionsAreAllReplaced(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pool := w.open(pgdb.Config{URL: w.admin, MaxConns: 3})
	var conns []*pgxpool.Conn
	for range 3 {
		c, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		_, err = c.Exec(t.Context(), "SET default_transaction_read_only = on")
		require.NoError(t, err)
		conns = append(conns, c)
	}
	for _, c := range conns {
		c.Release()
	}
	_, err := pgdb.Exec(t.Context(), pool, insertSQL)
	require.Equal(t, "25006", pgError(err).Code)
	require.True(t, pgdb.IsUnavailable(err))
	for range 3 {
		_, err := pgdb.Exec(t.Context(), pool, `UPDATE things SET size = 2`)
		require.NoError(t, err)
	}
}
