package embedded_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
)

const (
	patience = 30 * time.Second
	tick     = 10 * time.Millisecond
)

func TestDataIsKeptInItsFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), "made/when/needed")
	first, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: dir, Durable: true})
	require.NoError(t, err)
	url := first.AdminURL("postgres")
	require.Equal(t, "on on", show(t, url, `SELECT concat_ws(' ', current_setting('fsync'), current_setting('synchronous_commit'))`))
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `CREATE TABLE kept AS SELECT 7 AS n`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, first.Stop())
	require.NoError(t, first.Stop(), "safe to call twice")
	_, err = pgx.Connect(t.Context(), url)
	require.Error(t, err)

	second := start(t, embedded.PostgresConfig{DataDir: dir})
	require.Equal(t, "7", show(t, second.AdminURL("postgres"), `SELECT n::text FROM kept`))
}

func TestWithoutAFolderNothingIsLeft(t *testing.T) {
	t.Parallel()
	server := start(t, embedded.PostgresConfig{})
	data := show(t, server.AdminURL("postgres"), `SHOW data_directory`)
	require.DirExists(t, data)
	require.Equal(t, "off", show(t, server.AdminURL("postgres"), `SHOW fsync`))
	require.NoError(t, server.Stop())
	require.NoDirExists(t, filepath.Dir(data))
}

func TestOnlyThisMachineCanConnect(t *testing.T) {
	t.Parallel()
	server := start(t, embedded.PostgresConfig{})
	require.Equal(t, "127.0.0.1|", show(t, server.AdminURL("postgres"),
		`SELECT current_setting('listen_addresses') || '|' || current_setting('unix_socket_directories')`))
}

func TestTheServerDoesNotRunAsRoot(t *testing.T) {
	t.Parallel()
	server := start(t, embedded.PostgresConfig{})
	data := show(t, server.AdminURL("postgres"), `SHOW data_directory`)
	info, err := os.Stat(filepath.Join(data, "postmaster.pid")) // written by the server
	require.NoError(t, err)
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	require.NotZero(t, owner)
	if us := os.Geteuid(); us != 0 {
		require.Equal(t, us, owner)
	}
}

func TestAFolderWhoseSetUpWasInterruptedIsSetUpAnew(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	install(t, filepath.Join(dir, "pg/base"), "half")
	start(t, embedded.PostgresConfig{DataDir: dir})
	require.NoFileExists(t, filepath.Join(dir, "pg/base/half"))
}

func TestAFolderInUseIsRefusedWithTheServersOwnWords(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, embedded.PostgresConfig{DataDir: dir})
	brief, cancel := context.WithTimeout(t.Context(), 30*time.Second) // enough for one try on a machine with other work
	defer cancel()
	_, err := embedded.StartPostgres(brief, embedded.PostgresConfig{DataDir: dir})
	require.ErrorContains(t, err, "start postgres: ")
	require.ErrorContains(t, err, `lock file "postmaster.pid" already exists`)
	require.Equal(t, "1", show(t, first.AdminURL("postgres"), `SELECT '1'`), "the first one goes on")
}

// A port that somebody else took between our choice and our start must not lead us to that one's data.
func TestAnotherServerOnThePortIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	first := start(t, embedded.PostgresConfig{})
	config, err := pgx.ParseConfig(first.AdminURL("postgres"))
	require.NoError(t, err)
	dir := folder(t)
	ready, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: dir})
	require.NoError(t, err)
	require.NoError(t, ready.Stop())
	brief, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = embedded.StartPostgres(brief, embedded.PostgresConfig{DataDir: dir, Port: int(config.Port)})
	require.ErrorContains(t, err, "start postgres: ")
}
