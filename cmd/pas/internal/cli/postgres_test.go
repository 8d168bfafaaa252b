package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/pkg/platform/pgdb"
)

// A server that refuses for a while is no fault of the command, nor of the password.
func TestACommandThatTheServerRefusesSaysWhatToDo(t *testing.T) {
	t.Parallel()
	adminURL, admin := ownServer(t)
	environ := map[string]string{"DATABASE_ADMIN_URL": adminURL, "AUDIT_DATABASE_URL": pgdb.As(adminURL, "auditor") + "&statement_timeout=50"}
	got := pas(t, environ, "migrate")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	_, err := admin.Exec(t.Context(), `ALTER DATABASE postgres SET default_transaction_read_only = on`)
	require.NoError(t, err)
	got = pas(t, environ, "migrate")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.stderr, "name the one that takes writes")

	_, err = admin.Exec(t.Context(), `SET default_transaction_read_only = off; ALTER VIEW orders.audit_orders RENAME TO kept;
CREATE VIEW orders.audit_orders AS SELECT k.* FROM orders.kept k, pg_sleep(60); GRANT SELECT ON orders.audit_orders TO auditor`)
	require.NoError(t, err)
	got = pas(t, environ, "audit")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.stderr, "canceling statement due to statement timeout")
	require.Contains(t, got.stderr, "run it again")
}
