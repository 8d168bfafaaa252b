package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/cmd/pas/stack"
)

func TestDemoShowsTimelineEmailTableAndVerdict(t *testing.T) {
	t.Parallel()
	got := pas(t, nil, "demo", "--only", "confirmed")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Empty(t, got.stderr)
	for _, part := range []string{"1/1  confirmed", "payment_captured       confirmed", "email to ada-", "PASS", "SCENARIO", "1 of 1 scenarios passed in "} {
		require.Contains(t, got.stdout, part)
	}
	require.NotContains(t, got.stdout, "\x1b")
	require.NotContains(t, got.stdout, `"level"`, "no log lines")
}

func TestDemoWithJSONIsOneDocumentAndKeepsTheLogWhenAsked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "demo.log")
	got := pas(t, nil, "demo", "--only", "card-declined", "--json", "--log", path)
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	var view struct {
		Pass      bool
		Log       string
		Scenarios []struct {
			Name   string
			Pass   bool
			Orders []struct {
				Timeline []any
				Emails   []any
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &view))
	require.True(t, view.Pass)
	require.Equal(t, path, view.Log)
	require.Len(t, view.Scenarios, 1)
	require.Equal(t, "card-declined", view.Scenarios[0].Name)
	require.NotEmpty(t, view.Scenarios[0].Orders[0].Timeline)
	require.Len(t, view.Scenarios[0].Orders[0].Emails, 1)
	log, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(log), `"service":"orders"`)
}

func TestDemoThatIsInterruptedEndsCleanly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	stdout := &trigger{text: "Playing", do: cancel}
	code := cli.Run(ctx, cli.Program{Args: []string{"demo"}, Stdout: stdout, Stderr: &stderr})
	require.Equal(t, cli.ExitFailure, code)
	require.Equal(t, "pas: interrupted\n", stderr.String())
}

func TestDemoOnGivenServersLeavesThemAsTheyWere(t *testing.T) {
	t.Parallel()
	s, err := stack.Start(t.Context(), stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	has := func() []string {
		conn, err := pgx.Connect(t.Context(), s.AdminURL())
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(t.Context())) }()
		rows, err := conn.Query(t.Context(), "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles ORDER BY 1")
		require.NoError(t, err)
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return names
	}
	environ := map[string]string{"DATABASE_URL": s.AdminURL(), "KAFKA_BROKERS": strings.Join(s.Brokers(), ",")}
	before, topics := has(), pas(t, environ, "topics", "list").stdout

	got := pas(t, environ, "demo", "--only", "foreign-message")
	require.Equal(t, cli.ExitOK, got.code, got.stderr+got.stdout)
	require.Contains(t, got.stdout, "Starting database pas_demo_")
	require.Equal(t, before, has())
	require.Equal(t, topics, pas(t, environ, "topics", "list").stdout)
	require.Empty(t, s.Emails(), "the system that runs there did not take part")
}

// trigger is an output that does something when a text is written.
type trigger struct {
	bytes.Buffer
	text string
	do   func()
}

func (w *trigger) Write(b []byte) (int, error) {
	if strings.Contains(string(b), w.text) {
		w.do()
	}
	return w.Buffer.Write(b)
}

// upFolder is a folder that an unprivileged Postgres can reach.
func upFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pas-up-*")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func TestUpWithAWrongSettingOfAServiceExitsTwo(t *testing.T) {
	t.Parallel()
	got := pas(t, map[string]string{"FRAUD_LIMIT": "much"}, "up", "--json", "--data", filepath.Join(upFolder(t), "data"), "--port-offset", strconv.Itoa(freeOffset(t)))
	require.Contains(t, got.oneLine(t), "FRAUD_LIMIT")
	require.Equal(t, cli.ExitUsage, got.code)
}

func TestUpSaysWhereEverythingIsAndItsCurlWorks(t *testing.T) {
	t.Parallel()
	offset := freeOffset(t)
	dir := upFolder(t)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, cli.Program{Args: []string{"up", "--json", "--data", filepath.Join(dir, "data"), "--port-offset", strconv.Itoa(offset)},
			Stdout: writer, Stderr: &stderr})
		_ = writer.CloseWithError(io.EOF)
	}()
	var view struct {
		Services map[string]struct {
			URL      string
			AdminURL string `json:"admin_url"`
		}
		Brokers []string
		RESTURL string `json:"rest_url"`
	}
	require.NoError(t, json.NewDecoder(reader).Decode(&view), stderr.String())
	require.Equal(t, fmt.Sprintf("http://127.0.0.1:%d", 8080+offset), view.Services["orders"].URL)

	environ := map[string]string{"PAS_ORDERS_URL": view.Services["orders"].URL, "KAFKA_BROKERS": strings.Join(view.Brokers, ",")}
	got := pas(t, environ, "order", "--user", "ada", "--item", "vinyl-swan-lake", "--wait")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, pas(t, environ, "topics", "list").stdout, "orders                   6         1")
	got = pas(t, environ, "topics", "create", "--partitions", "orders=12")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.oneLine(t), "exists with 6 partitions instead of 12")
	require.Contains(t, pas(t, environ, "topics", "describe", "nothing").oneLine(t), "create the four topics with `pas topics create`")

	require.Equal(t, fmt.Sprintf("http://127.0.0.1:%d", 8082+offset), view.RESTURL)
	answer, err := http.Get(view.RESTURL + "/topics")
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	topics, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.JSONEq(t, `["notifications", "order-failures", "orders", "payments"]`, string(topics))

	kept := filepath.Join(dir, "data", "up.json") // where pas audit and pas replay look, when the folder is the usual one
	content, err := os.ReadFile(kept)
	require.NoError(t, err)
	var running struct {
		AuditURL   string `json:"audit_database_url"`
		AdminToken string `json:"admin_token"`
	}
	require.NoError(t, json.Unmarshal(content, &running))
	got = pas(t, map[string]string{"AUDIT_DATABASE_URL": running.AuditURL}, "audit")
	require.Equal(t, cli.ExitOK, got.code, got.stderr+got.stdout)

	// The one who started the system needs no token, as with curl. pas sends it all the same.
	admin := view.Services["orders"].AdminURL
	require.Equal(t, http.StatusOK, asks(t, admin+"/consumers", ""))
	require.Equal(t, http.StatusOK, asks(t, admin+"/consumers", running.AdminToken))
	require.Equal(t, http.StatusUnauthorized, asks(t, admin+"/consumers", strings.Repeat("x", 32)))
	for _, secret := range []string{"up.json", "admin-token", "erasure-key"} {
		info, err := os.Stat(filepath.Join(dir, "data", secret))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), secret)
	}
	environ["PAS_ORDERS_ADMIN_URL"] = admin
	require.Equal(t, cli.ExitOK, pas(t, environ, "inventory", "restock", "record-brush", "3").code)
	environ["PAS_ADMIN_TOKEN_FILE"] = filepath.Join(dir, "data", "admin-token")
	require.Equal(t, cli.ExitOK, pas(t, environ, "inventory", "restock", "record-brush", "4").code)
	entries := strings.Split(pas(t, environ, "audit", "log", "--service", "orders", "--subject", "record-brush").stdout, "\n")
	require.Regexp(t, `^TIME +SERVICE +ACTOR +OPERATION +SUBJECT +ADDRESS +DETAILS`, entries[0])
	require.Regexp(t, `orders +admin token [0-9a-f]{8} +product.restock +record-brush +127.0.0.1 +{"quantity":4}`, entries[1])
	require.Regexp(t, `orders +local user +product.restock +record-brush +127.0.0.1 +{"quantity":3}`, entries[2])

	second := pas(t, nil, "up", "--json", "--data", filepath.Join(dir, "other"), "--port-offset", strconv.Itoa(offset))
	require.Equal(t, cli.ExitFailure, second.code)
	require.Equal(t, fmt.Sprintf("port %d, wanted for orders, is used by another program; stop that program, or move all ports up with --port-offset 2000", 8080+offset),
		second.oneLine(t))

	data := filepath.Join(dir, "data")
	second = pas(t, nil, "up", "--json", "--data", data, "--port-offset", strconv.Itoa(freeOffset(t)))
	require.Equal(t, cli.ExitFailure, second.code)
	require.Equal(t, "another `pas up` runs with its data in "+data+"; stop that one, or choose another folder with --data", second.oneLine(t))
	require.Equal(t, cli.ExitOK, pas(t, environ, "inventory", "restock", "record-brush", "5").code, "the first one's token is still in the file")

	cancel()
	select {
	case code := <-ended:
		require.Equal(t, cli.ExitOK, code, stderr.String())
	case <-time.After(30 * time.Second):
		require.Fail(t, "it did not end")
	}
	require.Empty(t, stderr.String())
	require.NoFileExists(t, kept)
}

// freeOffset finds an offset at which no port that `pas up` wants is taken.
func freeOffset(t *testing.T) int {
	t.Helper()
	for offset := 11_000; offset < 50_000; offset += 997 {
		taken := false
		for _, port := range []int{8080, 8082, 8084, 8085, 9080, 9084, 9085, 9092} {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+offset)))
			if err != nil {
				taken = true
				break
			}
			require.NoError(t, l.Close())
		}
		if !taken {
			return offset
		}
	}
	require.Fail(t, "every port is taken")
	return 0
}

// asks returns the status of a request with a bearer token, if there is one.
func asks(t *testing.T, url, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}
