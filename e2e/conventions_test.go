package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/pkg/platform/tracing/tracingtest"
	"pasdetrois/toolbox/client"
)

// What a collector gets is in the words of one version of OpenTelemetry's semantic conventions, whatever happens to an order.
func TestSpansSpeakOneVersionOfTheConventions(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	s := start(t, func(c *stack.Config) {
		c.Environ = map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "PROVIDER_ERROR_RATE": "0.4"}
	})
	const orders = 20
	var all sync.WaitGroup
	// At once, so some share a transaction. The spans of more orders would not fit into the queue for a slow collector.
	for n := range orders {
		all.Go(func() {
			order := client.NewOrder{OrderID: fmt.Sprintf("told-%d", n), UserID: "u", Total: "49.99"}
			_, _, err := s.Client().Place(t.Context(), order, client.PlaceOptions{})
			if err != nil {
				t.Errorf("place order %d: %v", n, err)
			}
		})
	}
	all.Wait()
	for n := range orders {
		sent(t, s, fmt.Sprintf("told-%d", n))
	}
	_, err := s.Client().Cancel(t.Context(), "told-0")
	require.NoError(t, err)
	nonsense(t, s)
	for method, where := range map[string]string{http.MethodGet: "/nowhere", http.MethodDelete: "/orders"} {
		r, err := http.NewRequestWithContext(t.Context(), method, s.Client().Endpoint("orders").Public+where, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.NoError(t, s.Stop(), "which exports what is left")

	spans := collector.Spans()
	require.NotEmpty(t, spans)
	known := conventions(t, spans[0].Schema)
	for key := range ours(t) {
		require.False(t, known[key], "%s is a key of the conventions", key)
		known[key] = true
	}
	require.Condition(t, func() bool {
		return slices.ContainsFunc(spans, func(span tracingtest.Span) bool {
			return span.Name == "POST /orders/{id}/cancel" && len(span.Links) == 1 && !strings.HasPrefix(span.Links[0], span.Trace)
		})
	}, "the request to cancel is linked with the order's trace")
	seen, instances := map[string]bool{}, map[string]string{}
	for _, span := range spans {
		for key, value := range span.Attributes {
			require.True(t, known[key], "%s has %s: it is no key of %s, and docs/operations.md does not list it", span.Name, key, span.Schema)
			if strings.Contains(key, "batch") {
				require.NotEqual(t, "int_value:1", value, "%s of %s: one is no batch", key, span.Name)
			}
			seen[key] = true
		}
		for _, key := range []string{"service.name", "service.version", "service.instance.id", "telemetry.sdk.name",
			"telemetry.sdk.version", "telemetry.sdk.language"} {
			require.NotEmpty(t, span.Resource[key], key)
			require.True(t, known[key], key)
		}
		require.Equal(t, spans[0].Schema, span.Schema)
		instances[span.Resource["service.instance.id"]] = span.Service
		require.Equal(t, span.Failed, span.Attributes["error.type"] != "", "%s: error %q, attributes %v", span.Name, span.Error, span.Attributes)
		if span.Kind == "SERVER" {
			route := span.Attributes["http.route"]
			require.Equal(t, strings.TrimSpace(span.Attributes["http.request.method"]+" "+route), span.Name)
			require.NotEqual(t, "/", route)
			require.Equal(t, route == "", strings.Contains("404 405", span.Attributes["http.response.status_code"][len("int_value:"):]), span.Name)
		}
	}
	require.Len(t, instances, 3, "each process has a name of its own")
	for _, key := range []string{"messaging.system", "messaging.destination.name", "messaging.kafka.offset", "messaging.kafka.message.key",
		"messaging.message.id", "messaging.consumer.group.name", "messaging.client.id", "http.route", "db.response.returned_rows",
		"pasdetrois.event", "pasdetrois.batch_size", "pasdetrois.rows_affected", "pasdetrois.attempt"} {
		require.True(t, seen[key], "no span has %s", key)
	}
	failed := map[string]bool{}
	for _, span := range spans {
		if span.Failed {
			failed[span.Kind+" "+strings.Fields(span.Name)[0]+" "+span.Attributes["error.type"]] = true
		}
	}
	require.True(t, failed["CONSUMER process not_json"], "a record that nobody can read has a span: %v", failed)
	require.True(t, failed["CLIENT provider unavailable"], "the provider failed: %v", failed)
	require.True(t, failed["CONSUMER process unavailable"], "and the attempt with it: %v", failed)
}

// nonsense writes a record that is no JSON, and waits until it is parked.
func nonsense(t *testing.T, s *stack.Stack) {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	require.NoError(t, err)
	defer kafka.Close()
	record := &kgo.Record{Topic: s.Kafka().TopicPrefix + messages.TopicOrders, Value: []byte("no JSON")}
	require.NoError(t, kafka.ProduceSync(t.Context(), record).FirstErr())
	testkit.Eventually(t, func() error {
		letters, err := s.Client().DeadLetters(t.Context(), "orders", "parked", 10)
		if err == nil && len(letters) == 0 {
			return fmt.Errorf("nothing is parked")
		}
		return err
	})
}

var keyInSource = regexp.MustCompile(`attribute\.Key\("([^"]+)"\)`)

// conventions returns the keys of the package of OpenTelemetry's module that has the version of a schema URL.
func conventions(t *testing.T, schema string) map[string]bool {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "go.opentelemetry.io/otel/semconv/v"+path.Base(schema)).Output()
	require.NoError(t, err, "no package has the version of %s", schema)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "*.go"))
	require.NoError(t, err)
	keys := map[string]bool{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range keyInSource.FindAllSubmatch(source, -1) {
			keys[string(found[1])] = true
		}
	}
	require.Greater(t, len(keys), 300)
	return keys
}

var ourKey = regexp.MustCompile("`(pasdetrois\\.[a-z_.]+)`")

// ours returns the attributes that the operations manual lists as our own.
func ours(t *testing.T) map[string]bool {
	t.Helper()
	manual, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	_, traces, _ := strings.Cut(string(manual), "\n## Traces\n")
	traces, _, _ = strings.Cut(traces, "\n## ")
	keys := map[string]bool{}
	for _, found := range ourKey.FindAllStringSubmatch(traces, -1) {
		keys[found[1]] = true
	}
	require.GreaterOrEqual(t, len(keys), 8)
	return keys
}
