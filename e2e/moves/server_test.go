//go:build moves

package moves

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// installation is the folder of a version's programs.
type installation string

func installed(t *testing.T, variable string) installation {
	t.Helper()
	bin := os.Getenv(variable)
	if _, err := os.Stat(filepath.Join(bin, "pg_upgrade")); err != nil {
		require.FailNow(t, "there are no programs of Postgres: set "+variable+" as `make test SUITE=moves` does", err)
	}
	return installation(bin)
}

// server is a Postgres of its own.
type server struct {
	t   *testing.T
	bin installation
	dir string // has the data in pg
	*embedded.Postgres
}

// folder makes a folder that the server's user can enter.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := embedded.ScratchFolder()
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// start starts a server on a folder, on a new cluster where the folder is empty.
func (bin installation) start(t *testing.T, dir string, settings ...string) *server {
	t.Helper()
	t.Setenv("PATH", string(bin)+":"+os.Getenv("PATH"))
	postgres, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: dir, Settings: settings})
	require.NoError(t, err)
	s := &server{t, bin, dir, postgres}
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// run runs a program of the installation in the folder, as the folder's owner, and returns what it printed.
func (bin installation) run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	info, err := os.Stat(dir)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	cmd := exec.CommandContext(t.Context(), filepath.Join(string(bin), program), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", program, out)
	return string(out)
}

func (s *server) url() string { return s.AdminURL("postgres") }

func (s *server) run(program string, args ...string) string {
	s.t.Helper()
	return s.bin.run(s.t, s.dir, program, args...)
}

// sql runs statements and returns the first column of the last one's first row, "" without one.
func (s *server) sql(statements ...string) (value string) {
	s.t.Helper()
	return s.as(s.password(), statements...)
}

// as is sql with another password of the superuser.
func (s *server) as(password string, statements ...string) (value string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), pgdb.WithLogin(s.url(), "postgres", password))
	require.NoError(s.t, err)
	defer conn.Close(s.t.Context())
	for _, statement := range statements {
		value = ""
		rows, err := conn.Query(s.t.Context(), statement, pgx.QueryExecModeSimpleProtocol)
		require.NoError(s.t, err, statement)
		for rows.Next() {
			if value == "" {
				value = string(rows.RawValues()[0])
			}
		}
		require.NoError(s.t, rows.Err(), statement)
	}
	return strings.TrimSpace(value)
}

// password returns the superuser's password.
func (s *server) password() string {
	s.t.Helper()
	u, err := url.Parse(s.url())
	require.NoError(s.t, err)
	password, _ := u.User.Password()
	return password
}

// sharePassword puts the password beside a copy of the data, as an operator keeps it.
func (s *server) sharePassword(dir string) {
	s.t.Helper()
	path := filepath.Join(dir, "password")
	require.NoError(s.t, os.WriteFile(path, []byte(s.password()+"\n"), 0o600))
	info, err := os.Stat(filepath.Join(s.dir, "password"))
	require.NoError(s.t, err)
	owner := info.Sys().(*syscall.Stat_t)
	require.NoError(s.t, os.Chown(path, int(owner.Uid), int(owner.Gid)))
}

// mine gives a folder inside the server's one to the server's user.
func (s *server) mine(name string) string {
	s.t.Helper()
	dir := filepath.Join(s.dir, name)
	require.NoError(s.t, os.MkdirAll(dir, 0o755))
	info, err := os.Stat(filepath.Join(s.dir, "pg"))
	require.NoError(s.t, err)
	owner := info.Sys().(*syscall.Stat_t)
	require.NoError(s.t, os.Chown(dir, int(owner.Uid), int(owner.Gid)))
	return dir
}
