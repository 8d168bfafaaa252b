//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
)

// server is one durable Postgres that may be killed and started again on its port.
type server struct {
	dir     string
	port    int
	running *embedded.Postgres
}

func newServer(t *testing.T, port int) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pasdetrois-chaos-postgres-") // not the test's own folder, which only root can enter
	require.NoError(t, err)
	s := &server{dir: dir, port: port}
	t.Cleanup(func() {
		s.stop()
		_ = os.RemoveAll(dir)
	})
	return s
}

func (s *server) start(ctx context.Context) (err error) {
	s.running, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: s.dir, Port: s.port, Durable: true})
	return err
}

func (s *server) url(database string) string { return s.running.AdminURL(database) }

// kill ends the server with SIGKILL. Its other processes end when they notice.
func (s *server) kill() error {
	content, err := os.ReadFile(filepath.Join(s.dir, "pg", "postmaster.pid"))
	if err != nil {
		return fmt.Errorf("kill postgres: %w", err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return fmt.Errorf("kill postgres: %w", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill postgres: %w", err)
	}
	return s.running.Stop() // waits for its end
}

func (s *server) stop() {
	if s.running != nil {
		_ = s.running.Stop()
	}
}

// ask runs do on a connection of its own: connections do not outlive the faults.
func (f *field) ask(ctx context.Context, do func(conn *pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, f.adminURL)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return do(conn)
}

const ordersSQL = `SELECT order_id, user_id, status, reason, total_minor FROM orders.audit_orders`

func (f *field) orders(ctx context.Context) (all []order, err error) {
	err = f.ask(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, ordersSQL)
		if err == nil {
			all, err = pgx.CollectRows(rows, pgx.RowToStructByName[order])
		}
		if err != nil {
			return fmt.Errorf("read the orders: %w", err)
		}
		return nil
	})
	return all, err
}
