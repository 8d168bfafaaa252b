package embedded_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
)

// login returns a server's URL with another login.
func login(t *testing.T, server *embedded.Postgres, user *url.Userinfo) string {
	t.Helper()
	u, err := url.Parse(server.AdminURL("postgres"))
	require.NoError(t, err)
	u.User = user
	return u.String()
}

// requirePassword requires that no login works without its password, and that no other user can read the password.
func requirePassword(t *testing.T, server *embedded.Postgres, dir string) {
	t.Helper()
	for _, user := range []*url.Userinfo{url.User("postgres"), url.UserPassword("postgres", "postgres"), url.UserPassword("postgres", ""),
		url.User("somebody"), url.UserPassword("template1", "template1")} {
		_, err := pgx.Connect(t.Context(), login(t, server, user))
		require.ErrorContains(t, err, "password authentication failed", user)
	}
	require.Equal(t, "scram-sha-256", show(t, server.AdminURL("postgres"), `SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules`))
	require.Equal(t, "", show(t, server.AdminURL("postgres"), `SHOW unix_socket_directories`))
	path := filepath.Join(dir, "password")
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode(), "only its owner reads it")
	data, err := os.Stat(filepath.Join(dir, "pg"))
	require.NoError(t, err)
	require.Equal(t, data.Sys().(*syscall.Stat_t).Uid, info.Sys().(*syscall.Stat_t).Uid)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, server.AdminURL("postgres"), ":"+strings.TrimSpace(string(content))+"@")
}

func TestEachLoginNeedsItsPassword(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, embedded.PostgresConfig{DataDir: dir})
	requirePassword(t, first, dir)
	other := folder(t)
	second := start(t, embedded.PostgresConfig{DataDir: other})
	theirs, err := url.Parse(first.AdminURL("postgres"))
	require.NoError(t, err)
	_, err = pgx.Connect(t.Context(), login(t, second, theirs.User))
	require.ErrorContains(t, err, "password authentication failed", "each server has a password of its own")
	require.NotEqual(t, first.Password("orders"), second.Password("orders"))

	require.NoError(t, first.Stop())
	again := start(t, embedded.PostgresConfig{DataDir: dir})
	require.Equal(t, first.Password("orders"), again.Password("orders"), "the password is kept with the data")
	requirePassword(t, again, dir)
}

// Earlier versions made servers that trust every connection, and whose superuser has no password.
func TestAFolderOfAnEarlierVersionIsUsedAndDemandsAPassword(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server := start(t, embedded.PostgresConfig{DataDir: dir})
	conn, err := pgx.Connect(t.Context(), server.AdminURL("postgres"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `CREATE TABLE kept AS SELECT 7 AS n; ALTER ROLE postgres PASSWORD NULL`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, server.Stop())
	rules := filepath.Join(dir, "pg/pg_hba.conf")
	strict, err := os.ReadFile(rules)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(rules, []byte(strings.ReplaceAll(string(strict), "scram-sha-256", "trust")+"host all all ::1/128 trust # mine\n"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(dir, "password")))

	server = start(t, embedded.PostgresConfig{DataDir: dir})
	require.Equal(t, "7", show(t, server.AdminURL("postgres"), `SELECT n::text FROM kept`))
	requirePassword(t, server, dir)
	require.NoError(t, server.Stop())

	// A password that is lost is replaced: whoever may write the folder has the data anyway.
	require.NoError(t, os.Remove(filepath.Join(dir, "password")))
	server = start(t, embedded.PostgresConfig{DataDir: dir})
	require.Equal(t, "7", show(t, server.AdminURL("postgres"), `SELECT n::text FROM kept`))
	requirePassword(t, server, dir)
	require.NoError(t, server.Stop())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "password"), []byte("secret\n"), 0o600))
	_, err = embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: dir})
	require.ErrorContains(t, err, "has no password of this server")
}
