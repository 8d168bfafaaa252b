package cli_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) {
	otherProgram()
	testkit.Main(m)
}

// answer is what one run of the tool came to.
type answer struct {
	code           int
	stdout, stderr string
}

// pas runs the tool with these arguments and nothing in the environment but environ.
func pas(t *testing.T, environ map[string]string, args ...string) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := cli.Run(t.Context(), cli.Program{Args: args, Environ: environ, Stdout: &stdout, Stderr: &stderr, Patience: patience, NoticeAfter: silence})
	return answer{code, stdout.String(), stderr.String()}
}

const (
	// patience of a test's command outlasts a busy machine.
	patience = 2 * time.Minute
	// silence keeps the notes about waiting out of output that a test compares.
	silence = time.Hour
)

// impatient runs the tool as pas does, against something that never answers.
func impatient(t *testing.T, environ map[string]string, args ...string) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := cli.Run(t.Context(), cli.Program{Args: args, Environ: environ, Stdout: &stdout, Stderr: &stderr, Patience: time.Second, NoticeAfter: silence})
	return answer{code, stdout.String(), stderr.String()}
}

// oneLine expects the run to have failed with exactly one line that starts with the tool's name.
func (a answer) oneLine(t *testing.T) string {
	t.Helper()
	require.Empty(t, a.stdout)
	require.Equal(t, 1, strings.Count(a.stderr, "\n"), a.stderr)
	require.Regexp(t, `^pas: .+\n$`, a.stderr)
	return strings.TrimSuffix(strings.TrimPrefix(a.stderr, "pas: "), "\n")
}

// nowhere points every service and Kafka at a port that nobody listens on.
func nowhere(t *testing.T) map[string]string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	environ := everywhere("http://" + addr)
	environ["KAFKA_BROKERS"] = addr
	environ["DATABASE_ADMIN_URL"] = "postgres://postgres:secret@" + addr + "/pas"
	return environ
}

// everywhere points every service at one address.
func everywhere(url string) map[string]string {
	environ := map[string]string{}
	for _, service := range []string{"ORDERS", "PAYMENTS", "NOTIFICATIONS"} {
		environ["PAS_"+service+"_URL"], environ["PAS_"+service+"_ADMIN_URL"] = url, url
	}
	return environ
}

// services stands in for all three services: replies by "METHOD /path", 404 problems for everything else. It answers
// how often each was asked.
func services(t *testing.T, replies map[string]any) (environ map[string]string, asked func(what string) int) {
	t.Helper()
	var mu sync.Mutex
	requests := make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := r.Method + " " + r.URL.Path
		mu.Lock()
		requests[what]++
		mu.Unlock()
		reply, ok := replies[what]
		if !ok {
			reply = problem{Status: http.StatusNotFound, Title: "Not Found", Detail: "nothing here"}
		}
		w.Header().Set("Content-Type", "application/json")
		if p, ok := reply.(problem); ok {
			w.WriteHeader(p.Status)
		}
		_ = json.NewEncoder(w).Encode(reply)
	}))
	t.Cleanup(server.Close)
	return everywhere(server.URL), func(what string) int {
		mu.Lock()
		defer mu.Unlock()
		return requests[what]
	}
}

type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []any  `json:"errors,omitempty"`
}

type object = map[string]any
