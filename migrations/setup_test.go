package migrations_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is one test's database, which nobody has migrated yet.
type world struct {
	*testkit.DB
	t *testing.T
}

func setup(t *testing.T) *world {
	t.Helper()
	return &world{testkit.Database(t, func(context.Context, string) error { return nil }), t}
}

func (w *world) up() {
	w.t.Helper()
	require.NoError(w.t, migrations.Up(w.t.Context(), w.AdminURL))
}

// as connects with the login of the role, "" for the superuser.
func (w *world) as(role string) *pgx.Conn {
	w.t.Helper()
	target := w.AdminURL
	if role != "" {
		target = w.URL(role)
	}
	return w.connect(target)
}

func (w *world) connect(target string) *pgx.Conn {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), target)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, conn.Close(context.Background())) })
	return conn
}

// with returns the database's URL with another login.
func (w *world) with(role, password string) string {
	w.t.Helper()
	u, err := url.Parse(w.AdminURL)
	require.NoError(w.t, err)
	u.User = url.UserPassword(role, password)
	return u.String()
}

// lines returns the only column of a query's rows.
func (w *world) lines(conn *pgx.Conn, sql string, args ...any) []string {
	w.t.Helper()
	rows, err := conn.Query(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	return found
}

// refused expects a statement to be refused with the SQLSTATE, and returns what the server said.
func (w *world) refused(conn *pgx.Conn, state, sql string) *pgconn.PgError {
	w.t.Helper()
	_, err := conn.Exec(w.t.Context(), sql)
	var pg *pgconn.PgError
	require.ErrorAs(w.t, err, &pg, sql)
	require.Equal(w.t, state, pg.Code, "%s: %s", sql, pg.Message)
	return pg
}

const (
	insufficientPrivilege = "42501"
	checkViolation        = "23514"
)
