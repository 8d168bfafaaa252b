package cli_test

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/pkg/platform/embedded"
)

// ownServer starts a Postgres for this test alone, because roles belong to a whole server, and connects as its superuser.
func ownServer(t *testing.T) (adminURL string, admin *pgx.Conn) {
	t.Helper()
	server, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	adminURL = server.AdminURL("postgres")
	admin, err = pgx.Connect(t.Context(), adminURL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close(context.Background())) })
	return adminURL, admin
}

func TestMigrateSetsThePasswordsOfTheServicesOwnURLs(t *testing.T) {
	t.Parallel()
	adminURL, admin := ownServer(t)

	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte("postgres://payments:it%27s%20two@db/pas\n"), 0o600))
	environ := map[string]string{
		"DATABASE_ADMIN_URL":         adminURL,
		"ORDERS_DATABASE_URL":        "postgres://orders:one@db/pas",
		"PAYMENTS_DATABASE_URL_FILE": file,
	}
	got := pas(t, environ, "migrate", "--service", "orders,payments", "--json")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, `"migrated"`)
	require.NotContains(t, got.stdout, "one@")
	require.Equal(t, []string{"orders", "payments"}, schemas(t, admin))
	require.True(t, hasPassword(t, admin, "orders", "one"))
	require.True(t, hasPassword(t, admin, "payments", "it's two"))

	got = pas(t, map[string]string{"DATABASE_ADMIN_URL": adminURL, "ORDERS_DATABASE_URL": "postgres://orders:other@db/pas"}, "migrate")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "The role orders has the password of its URL.")
	require.Equal(t, []string{"notifications", "orders", "payments"}, schemas(t, admin))
	require.True(t, hasPassword(t, admin, "orders", "other"))
	require.True(t, hasPassword(t, admin, "payments", "it's two"), "kept")
	require.True(t, hasPassword(t, admin, "notifications", "notifications"))
}

func TestMigrateMovesSequencesThatReplicationLeftBehind(t *testing.T) {
	t.Parallel()
	adminURL, admin := ownServer(t)
	environ := map[string]string{"DATABASE_ADMIN_URL": adminURL}
	require.Equal(t, cli.ExitOK, pas(t, environ, "migrate").code)
	const note = `INSERT INTO notifications.notifications (id, message_id, user_id, recipient, message, channel, next_attempt_at, requested_at)
		OVERRIDING SYSTEM VALUE VALUES ($1::bigint, $1::bigint::text, 'u', 'u@example.com', 'm', 'email', now(), now())`
	_, err := admin.Exec(t.Context(), note, 100000)
	require.NoError(t, err)
	got := pas(t, environ, "migrate")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "The sequence of notifications.notifications was behind its rows, and is moved from 0 to 100000.")
	require.NotContains(t, pas(t, environ, "migrate").stdout, "sequence")
	_, err = admin.Exec(t.Context(), note, 200000)
	require.NoError(t, err)
	require.Contains(t, pas(t, environ, "migrate", "--json").stdout, `"sequences_moved": [
    "notifications.notifications"
  ]`)
}

func schemas(t *testing.T, admin *pgx.Conn) []string {
	t.Helper()
	rows, err := admin.Query(t.Context(), `SELECT nspname::text FROM pg_namespace WHERE nspname IN ('orders', 'payments', 'notifications') ORDER BY 1`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

func TestMigrateSetsTheAuditorsPasswordOfTheURLThatAuditWillUse(t *testing.T) {
	t.Parallel()
	adminURL, admin := ownServer(t)
	migrate := func(environ map[string]string, arguments ...string) answer {
		environ = maps.Clone(environ)
		environ["DATABASE_ADMIN_URL"] = adminURL
		return pas(t, environ, append([]string{"migrate"}, arguments...)...)
	}

	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte("postgres://auditor:it%27s%20one@db/pas\n"), 0o600))
	got := migrate(map[string]string{"AUDIT_DATABASE_URL_FILE": file}, "--json")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	var view struct {
		PasswordsSet []string `json:"passwords_set"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &view))
	require.Equal(t, []string{"auditor"}, view.PasswordsSet)
	require.True(t, hasPassword(t, admin, "auditor", "it's one"), "also a role that is made now never has its name as password")
	require.True(t, hasPassword(t, admin, "orders", "orders"))

	got = migrate(map[string]string{"AUDIT_DATABASE_URL": "postgres://auditor@db/pas"})
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.NotContains(t, got.stdout, "auditor")
	require.True(t, hasPassword(t, admin, "auditor", "it's one"), "kept")

	got = migrate(map[string]string{"AUDIT_DATABASE_URL": "postgres://auditor:two@db/pas"})
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "The role auditor has the password of its URL.")
	require.True(t, hasPassword(t, admin, "auditor", "two"))

	apart := map[string]string{"AUDIT_ORDERS_DATABASE_URL": "postgres://auditor:three@db/orders", "AUDIT_PAYMENTS_DATABASE_URL": "postgres://auditor:four@db/payments"}
	got = migrate(apart)
	require.Equal(t, cli.ExitUsage, got.code)
	require.Equal(t, "AUDIT_ORDERS_DATABASE_URL and AUDIT_PAYMENTS_DATABASE_URL have different passwords for the role auditor: "+
		"where each service has a database of its own, migrate one after the other with --service", got.oneLine(t))
	require.True(t, hasPassword(t, admin, "auditor", "two"), "kept")
	got = migrate(apart, "--service", "payments")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.True(t, hasPassword(t, admin, "auditor", "four"))
}

func TestMigrateLetsChangeDataCaptureInOnlyWhereItsURLIsGiven(t *testing.T) {
	t.Parallel()
	adminURL, admin := ownServer(t)
	migrate := func(captureURL string, arguments ...string) answer {
		environ := map[string]string{"DATABASE_ADMIN_URL": adminURL, "CDC_DATABASE_URL": captureURL}
		return pas(t, environ, append([]string{"migrate"}, arguments...)...)
	}
	captures := func() (n int) {
		require.NoError(t, admin.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_roles WHERE rolname = 'cdc') +
			(SELECT count(*) FROM pg_publication)`).Scan(&n))
		return n
	}
	require.Equal(t, cli.ExitOK, migrate("").code)
	require.Equal(t, cli.ExitOK, migrate("postgres://cdc:secret@db/pas", "--service", "payments").code)
	got := migrate("postgres://cdc@db/pas")
	require.Equal(t, cli.ExitUsage, got.code)
	require.Equal(t, "CDC_DATABASE_URL has no password: the role cdc may replicate, so it needs one", got.oneLine(t))
	got = migrate("postgres://orders:secret@db/pas")
	require.Equal(t, cli.ExitUsage, got.code)
	require.Equal(t, "CDC_DATABASE_URL names the role orders, which another part has: it needs one of its own, because it may replicate", got.oneLine(t))
	require.Zero(t, captures())

	got = migrate("postgres://cdc:secret@db/pas")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "The role cdc has the password of its URL.")
	require.NotContains(t, got.stdout, "secret")
	require.Equal(t, 2, captures())
	require.True(t, hasPassword(t, admin, "cdc", "secret"))
}

// hasPassword checks a password against the server's SCRAM-SHA-256 verifier (RFC 5803).
func hasPassword(t *testing.T, admin *pgx.Conn, role, password string) bool {
	t.Helper()
	var verifier string
	require.NoError(t, admin.QueryRow(t.Context(), `SELECT rolpassword FROM pg_authid WHERE rolname = $1`, role).Scan(&verifier))
	parts := strings.FieldsFunc(verifier, func(r rune) bool { return r == '$' || r == ':' })
	require.Len(t, parts, 5, "SCRAM-SHA-256$iterations:salt$stored:server")
	require.Equal(t, "4096", parts[1])
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	salted, err := pbkdf2.Key(sha256.New, password, salt, 4096, sha256.Size)
	require.NoError(t, err)
	server := hmac.New(sha256.New, salted)
	server.Write([]byte("Server Key"))
	return base64.StdEncoding.EncodeToString(server.Sum(nil)) == parts[4]
}
