//go:build cdc

package cdc

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/e2e/programs"
	"pasdetrois/migrations"
)

// worker is a Kafka Connect process with the connector and the settings of deploy/cdc.
type worker struct {
	t       *testing.T
	folder  string // its offsets, its log, its copy of the connector's settings
	args    []string
	env     []string
	rest    string
	running *exec.Cmd
	ended   chan struct{}
}

const password = "it's secret"

func newWorker(t *testing.T, databaseURL string) *worker {
	t.Helper()
	root, err := filepath.Abs(programs.Root)
	require.NoError(t, err)
	jars := os.Getenv("CDC_JARS")
	require.NotEmpty(t, jars, "CDC_JARS must name the folder that e2e/cdc/connect/install has filled (`make test SUITE=cdc` does)")
	server, err := pgx.ParseConfig(databaseURL)
	require.NoError(t, err)
	w := &worker{t: t, folder: t.TempDir()}

	require.NoError(t, os.WriteFile(filepath.Join(w.folder, "cdc_password"), []byte(password+"\n"), 0o600))
	// The container's folders are elsewhere here; all else is as it is shipped.
	elsewhere := strings.NewReplacer("/opt/kafka/plugins", filepath.Join(jars, "plugins"))
	for _, name := range []string{"connect.properties", "orders.json"} {
		shipped, err := os.ReadFile(filepath.Join(root, "deploy/cdc", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(w.folder, name), []byte(elsewhere.Replace(string(shipped))), 0o600))
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w.rest = "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	w.args = []string{filepath.Join(root, "deploy/cdc/with-password"), "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dlog4j2.configurationFile=" + filepath.Join(root, "e2e/cdc/connect/log4j2.properties"),
		"-cp", filepath.Join(jars, "connect", "*"), "org.apache.kafka.connect.cli.ConnectStandalone",
		"connect.properties", "orders.json"}
	w.env = append(os.Environ(),
		"CONNECT_LISTENER="+w.rest,
		"CONNECT_OFFSETS="+w.offsets(),
		"CDC_DATABASE_HOST="+server.Host,
		fmt.Sprintf("CDC_DATABASE_PORT=%d", server.Port),
		"CDC_DATABASE_PASSWORD_FILE="+filepath.Join(w.folder, "cdc_password"),
		"CDC_DATABASE_USER="+migrations.Capture,
		"CDC_DATABASE_NAME="+server.Database,
		"CDC_DATABASE_SSLMODE=disable")
	t.Cleanup(w.kill)
	return w
}

func (w *worker) offsets() string { return filepath.Join(w.folder, "offsets") }

func (w *worker) start() {
	w.t.Helper()
	log, err := os.OpenFile(filepath.Join(w.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(w.t, err)
	defer log.Close()
	w.running = exec.CommandContext(context.WithoutCancel(w.t.Context()), w.args[0], w.args[1:]...)
	w.running.Env, w.running.Stdout, w.running.Stderr = w.env, log, log
	w.running.Dir = w.folder
	require.NoError(w.t, w.running.Start())
	w.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_ = cmd.Wait()
	}(w.running, w.ended)
}

// kill ends the process with SIGKILL.
func (w *worker) kill() {
	if w.running == nil {
		return
	}
	select {
	case <-w.ended:
		w.t.Error("the worker had ended by itself")
	default:
	}
	_ = w.running.Process.Signal(syscall.SIGKILL)
	<-w.ended
	w.running = nil
	if w.t.Failed() {
		content, _ := os.ReadFile(filepath.Join(w.folder, "log"))
		lines := strings.Split(string(content), "\n")
		w.t.Logf("the worker's log:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
	}
}

// allow migrates the database and lets the connector in.
func allow(t *testing.T, adminURL string) {
	t.Helper()
	require.NoError(t, migrations.UpService(t.Context(), adminURL, "orders", migrations.RolesOf("orders")))
	require.NoError(t, migrations.SetPassword(t.Context(), adminURL, migrations.Capture, password))
	require.NoError(t, migrations.AllowCapture(t.Context(), adminURL, migrations.Capture))
}
