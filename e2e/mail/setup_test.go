//go:build mail

package mail

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/restproxy"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// system is the three services, of which notifications sends through one mail server.
type system struct {
	*stack.Stack
	proxy *restproxy.Proxy
	t     *testing.T
}

// start starts a system that sends to the mail server at port. settings are those of notifications.
func start(t *testing.T, port int, settings map[string]string) *system {
	t.Helper()
	environ := map[string]string{"SMTP_URL": fmt.Sprintf("smtp://127.0.0.1:%d?tls=none", port), "EMAIL_FROM": "orders@shop.example"}
	for name, value := range settings {
		environ[name] = value
	}
	s, err := stack.Start(t.Context(), stack.Config{Log: slog.New(slog.DiscardHandler),
		DatabaseURL: testkit.Database(t, migrations.Up).AdminURL,
		Services:    map[string]map[string]string{client.Notifications: environ}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	l, err := stack.Listen("rest", 0)
	require.NoError(t, err)
	proxy, err := restproxy.Start(s, l, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(proxy.Stop)
	return &system{s, proxy, t}
}

// write writes a plain record to a topic, as any Kafka client may.
func (s *system) write(topic string, value map[string]any) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"records": []any{map[string]any{"value": value}}})
	require.NoError(s.t, err)
	answer, err := http.Post(s.proxy.URL()+"/topics/"+topic, "application/vnd.kafka.json.v2+json", bytes.NewReader(body))
	require.NoError(s.t, err)
	defer answer.Body.Close()
	said, _ := io.ReadAll(answer.Body)
	require.Equal(s.t, http.StatusOK, answer.StatusCode, "%s", said)
}

// notify asks for a notification about an order.
func (s *system) notify(order, to string) {
	s.t.Helper()
	s.write("notifications", map[string]any{"user_id": "u", "order_id": order, "kind": "confirmed", "message": "Thank you — merci, ありがとう.", "to": to})
}

// email waits until the order's email is as wanted, and returns it.
func (s *system) email(order, status string, attempts int) client.Email {
	s.t.Helper()
	var found client.Email
	testkit.Eventually(s.t, func() error {
		emails, err := s.Client().Emails(s.t.Context(), status, 0)
		if err != nil {
			return err
		}
		for _, found = range emails {
			if found.OrderID == order && found.Attempts >= attempts {
				return nil
			}
		}
		return fmt.Errorf("no email about order %s is %s: %v", order, status, emails)
	})
	return found
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// run starts a program that ends with the test, and returns the lines of its output.
func run(t *testing.T, cmd *exec.Cmd) <-chan []byte {
	t.Helper()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start(), "this test needs %s", cmd.Path)
	lines, ended := make(chan []byte, 1000), make(chan struct{})
	go func() {
		defer close(ended)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- bytes.Clone(scan.Bytes())
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	return lines
}

// next waits for the next line.
func next[T any](t *testing.T, lines <-chan []byte) (line T) {
	t.Helper()
	select {
	case raw := <-lines:
		require.NoError(t, json.Unmarshal(raw, &line), "%s", raw)
	case <-time.After(60 * time.Second):
		t.Fatal("the mail server told nothing for a minute")
	}
	return line
}
