//go:build pooler

package pooler

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/e2e/programs"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// binary returns the pgbouncer to test with, and whether it can follow prepared statements.
func binary(t *testing.T) (path string, follows bool) {
	t.Helper()
	path = os.Getenv("PGBOUNCER")
	for _, candidate := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path == "" {
			path, _ = exec.LookPath(candidate)
		}
	}
	if path == "" {
		t.Fatal("there is no pgbouncer: install one (apt-get install pgbouncer), or name one with PGBOUNCER")
	}
	out, err := exec.CommandContext(t.Context(), path, "--version").Output()
	require.NoError(t, err)
	version := regexp.MustCompile(`(\d+)\.(\d+)`).FindStringSubmatch(string(out))
	require.Len(t, version, 3, "%s", out)
	major, _ := strconv.Atoi(version[1])
	minor, _ := strconv.Atoi(version[2])
	t.Logf("PgBouncer %s", version[0])
	return path, major > 1 || minor >= 21
}

const ini = `[databases]
* = host=127.0.0.1 port=%s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 6
max_client_conn = 500
server_idle_timeout = 5
%s`

// start starts a pgbouncer before the server of adminURL and returns its address.
func start(t *testing.T, adminURL string) (address string, follows bool) {
	t.Helper()
	path, follows := binary(t)
	server, err := url.Parse(adminURL)
	require.NoError(t, err)
	address = programs.FreeAddresses(t, 1)[0]
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	folder, err := os.MkdirTemp("", "pasdetrois-pgbouncer-") // t.TempDir's is closed to other users
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o755))
	users := filepath.Join(folder, "users.txt")
	password, _ := server.User.Password()
	list := fmt.Sprintf("%q %q\n", server.User.Username(), password)
	for _, role := range append(messages.Services(), migrations.Auditor) {
		list += fmt.Sprintf("%q %q\n", role, role)
	}
	require.NoError(t, os.WriteFile(users, []byte(list), 0o644))
	follow := ""
	if follows {
		follow = "max_prepared_statements = 200\n"
	}
	settings := filepath.Join(folder, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(settings, fmt.Appendf(nil, ini, server.Port(), port, users, follow), 0o644))

	var out output
	cmd := exec.Command(path, settings)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: unprivileged(t)}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	testkit.Eventually(t, func() error {
		conn, err := pgx.Connect(t.Context(), through(t, adminURL, address))
		if err != nil {
			return fmt.Errorf("pgbouncer does not answer: %w: %s", err, out.String())
		}
		return conn.Close(context.Background())
	})
	return address, follows
}

// unprivileged returns a user for pgbouncer, which does not run as root; nil means ourselves.
func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(nobody.Gid)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// through returns the database's URL at the pooler.
func through(t *testing.T, databaseURL, address string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	u.Host = address
	return u.String()
}

// output may be written and read at once.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}
