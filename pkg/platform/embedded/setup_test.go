package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/testkit"
)

// asParent makes the test's program start a server in the folder that it names, print its port and wait: to be killed.
const asParent = "EMBEDDED_TEST_AS_PARENT"

// inScratch stands for a folder that the server chooses.
const inScratch = "scratch"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asParent); dir != "" {
		if dir == inScratch {
			dir = ""
		}
		server, err := embedded.StartPostgres(context.Background(), embedded.PostgresConfig{DataDir: dir})
		fmt.Println(server.AdminURL("postgres"), err)
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(1)
	}
	testkit.Main(m)
}

// folder returns a temporary folder that other users can enter, which t.TempDir's is not.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embedded-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// start starts a server that is stopped when the test ends.
func start(t *testing.T, cfg embedded.PostgresConfig) *embedded.Postgres {
	t.Helper()
	server, err := embedded.StartPostgres(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

// show runs a statement and returns its one value.
func show(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

// install makes files that could be programs.
func install(t *testing.T, dir string, programs ...string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o755))
	}
	return dir
}
