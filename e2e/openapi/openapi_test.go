//go:build openapi

package openapi

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// runWithin bounds one run of Schemathesis. All six run at the same time.
const runWithin = 8 * time.Minute

// What each document says is what its server does: no server error, no answer that the document does not name, nothing
// refused that the document allows, and nothing taken that it forbids. OPENAPI_SEED=7 tries other requests.
func TestTheServersDoWhatTheirDocumentsSay(t *testing.T) {
	program := os.Getenv("SCHEMATHESIS")
	require.NotEmpty(t, program, "SCHEMATHESIS must name the program that e2e/openapi/install installed: make test SUITE=openapi")
	s := start(t)
	leaveDeadLetters(t, s)
	leaveOrders(t, s)

	config, err := filepath.Abs("schemathesis.toml")
	require.NoError(t, err)
	var all sync.WaitGroup
	results := map[string]string{}
	var mu sync.Mutex
	for _, service := range messages.Services() {
		e := s.Client().Endpoint(service)
		for name, url := range map[string]string{service: e.Public, service + " admin": e.Admin} {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), runWithin)
				defer cancel()
				cmd := exec.CommandContext(ctx, program, "--config-file", config, "--no-color", "run", url+"/openapi.json",
					"--seed", cmp.Or(os.Getenv("OPENAPI_SEED"), "1"), "--request-timeout", "45")
				cmd.Dir = t.TempDir()
				began := time.Now()
				out, err := cmd.CombinedOutput()
				t.Logf("%s: %s in %s", name, lastLine(out), time.Since(began).Round(time.Second))
				if err == nil && bytes.Contains(out, []byte("WARNINGS")) {
					t.Logf("%s", out[bytes.Index(out, []byte("WARNINGS")):])
				}
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					results[name] = fmt.Sprintf("%s\n%s", err, out)
				}
			})
		}
	}
	all.Wait()
	for name, result := range results {
		t.Errorf("%s: %s", name, result)
	}
}

func lastLine(out []byte) string {
	lines := strings.Split(string(bytes.TrimSpace(out)), "\n")
	return strings.Trim(lines[len(lines)-1], "= ")
}

// start brings the three services up in this process.
func start(t *testing.T) *stack.Stack {
	t.Helper()
	prefix := testkit.Prefix(t)
	s, err := stack.Start(t.Context(), stack.Config{Log: slog.New(slog.DiscardHandler), TopicPrefix: prefix, GroupPrefix: prefix,
		DatabaseURL: testkit.Database(t, migrations.Up).AdminURL,
		Services: map[string]map[string]string{client.Notifications: { // no mail server is there, so emails fail
			"SMTP_URL": "smtp://127.0.0.1:1?tls=none", "EMAIL_RETRY_MAX": "1s", "EMAIL_RETRY_FOR": "1s"}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// leaveDeadLetters lets each service park messages, so that there are letters to show, replay and discard.
func leaveDeadLetters(t *testing.T, s *stack.Stack) {
	t.Helper()
	env := scenario.On(s)
	producer, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	require.NoError(t, err)
	defer producer.Close()
	for _, topic := range []string{"orders", "payments", "notifications"} {
		for i := range 10 {
			r := &kgo.Record{Topic: env.Kafka.TopicPrefix + topic, Value: fmt.Appendf(nil, "no message, number %d", i)}
			require.NoError(t, producer.ProduceSync(t.Context(), r).FirstErr())
		}
	}
	for _, service := range messages.Services() {
		testkit.Eventually(t, func() error {
			letters, err := s.Client().DeadLetters(t.Context(), service, "parked", 0)
			if err == nil && len(letters) < 10 {
				err = fmt.Errorf("%s has %d dead letters", service, len(letters))
			}
			return err
		})
	}
}

// leaveOrders places orders, so that lists have pages, and waits until their emails have failed.
func leaveOrders(t *testing.T, s *stack.Stack) {
	t.Helper()
	const orders = 5
	for range orders {
		_, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5"}, client.PlaceOptions{Wait: 5 * time.Second})
		require.NoError(t, err)
	}
	testkit.Eventually(t, func() error {
		emails, err := s.Client().Emails(t.Context(), "failed", 0)
		if err == nil && len(emails) < orders {
			err = fmt.Errorf("%d emails have failed", len(emails))
		}
		return err
	})
}
