package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/pkg/platform/tracing/tracingtest"
)

// Every span says which process made it, by which version of the conventions.
func TestSpansNameTheirProcess(t *testing.T) { // not parallel: it sets the environment
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.namespace=elsewhere")
	collector := tracingtest.HTTP(t)
	tracer, _ := start(t, tracing.Settings{Endpoint: collector.URL})
	_, span := tracer.Begin(t.Context(), trace.SpanKindConsumer, "work", "")
	span.End(nil)
	tracer.Close()

	got := collector.Spans()[0]
	require.NotEmpty(t, got.Resource["telemetry.sdk.version"])
	delete(got.Resource, "telemetry.sdk.version")
	require.Equal(t, map[string]string{
		"service.name": "shop", "service.version": "1.2.3", "service.instance.id": "host-1a2b", "service.namespace": "elsewhere",
		"telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "go", "deployment.environment.name": "test",
	}, got.Resource)
	require.Equal(t, semconv.SchemaURL, got.Schema)
	require.Equal(t, "pasdetrois/pkg/platform/tracing 1.2.3 "+semconv.SchemaURL, got.Scope)
}

// The tracer is outside of the mux that knows the routes, and inside of one with "/": as in the services.
func TestServerSpansHaveTheRouteAndTheTypeOfTheError(t *testing.T) {
	t.Parallel()
	inner := http.NewServeMux()
	answer := func(pattern string, do http.HandlerFunc) { inner.HandleFunc(pattern, do) }
	answer("GET /things/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	answer("POST /things", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	answer("PUT /things/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) })
	answer("GET /cut", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	collector := tracingtest.HTTP(t)
	tracer, _ := start(t, tracing.Settings{Endpoint: collector.URL})
	server := httptest.NewServer(httpx.NewHealth().Mount(tracer.HTTP(inner), nil))
	t.Cleanup(server.Close)

	for _, c := range []struct{ method, path, name, route, errorType string }{
		{"GET", "/things/7", "GET /things/{id}", "/things/{id}", ""},
		{"HEAD", "/things/7", "HEAD /things/{id}", "/things/{id}", ""},
		{"POST", "/things", "POST /things", "/things", "503"},
		{"PUT", "/things/7", "PUT /things/{id}", "/things/{id}", ""},
		{"GET", "/nowhere", "GET", "", ""},
		{"DELETE", "/things/7", "DELETE", "", ""},
		{"BREW", "/things/7", "HTTP", "", ""},
		{"GET", "/cut", "GET /cut", "/cut", "aborted"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, nil)
		require.NoError(t, err)
		if resp, err := server.Client().Do(r); c.path != "/cut" {
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
		require.NoError(t, tracer.Flush(t.Context()))
		spans := collector.Spans()
		got := spans[len(spans)-1]
		require.Equal(t, c.name, got.Name)
		require.Equal(t, []string{c.route, c.errorType}, []string{got.Attributes["http.route"], got.Attributes["error.type"]}, c.name)
		require.Equal(t, c.errorType != "", got.Failed, c.name)
	}
	tracer.Close()
}

type named struct{ error }

func (named) ErrorType() string { return "NOT_ENOUGH_REPLICAS" }

func TestErrorsHaveOneOfAFewTypes(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	tracer, _ := start(t, tracing.Settings{Endpoint: collector.URL})
	for _, c := range []struct {
		err  error
		want string
	}{
		{fault.Wrap("not_json", io.EOF), "not_json"},
		{fmt.Errorf("publish: %w", named{io.EOF}), "NOT_ENOUGH_REPLICAS"},
		{fmt.Errorf("query: %w", &pgconn.PgError{Code: "40001"}), "40001"},
		{fmt.Errorf("query: %w", context.DeadlineExceeded), "timeout"},
		{os.ErrDeadlineExceeded, "timeout"},
		{fmt.Errorf("send: %w", &textproto.Error{Code: 451, Msg: "4.7.1 try later"}), "451"},
		{fmt.Errorf("query: %w", context.Canceled), "cancelled"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "connection refused"},
		{errors.Join(nil, fmt.Errorf("read: %w", &net.DNSError{Err: "no such host"})), "*net.DNSError"},
		{errors.New("order 4711 is gone"), "_OTHER"},
		{errors.Join(io.EOF, io.ErrUnexpectedEOF), "_OTHER"},
	} {
		_, span := tracer.Begin(t.Context(), trace.SpanKindConsumer, "work", "")
		span.End(c.err)
		require.NoError(t, tracer.Flush(t.Context()))
		spans := collector.Spans()
		got := spans[len(spans)-1]
		require.Equal(t, c.want, got.Attributes["error.type"], "%v", c.err)
		require.True(t, got.Failed)
	}
	tracer.Close()
}

func TestABatchOfOneIsNotCounted(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	tracer, _ := start(t, tracing.Settings{Endpoint: collector.URL})
	for _, parents := range [][]string{{first}, {first, second}} {
		_, span := tracer.Batch(t.Context(), "batch", semconv.MessagingBatchMessageCountKey, parents)
		span.End(nil)
	}
	tracer.Close()
	require.NotContains(t, collector.Spans()[0].Attributes, "messaging.batch.message_count")
	require.Equal(t, "int_value:2", collector.Spans()[1].Attributes["messaging.batch.message_count"])
}

// otelpgx 0.13.0 has keys of its own for the SQLSTATE and for rows, no error.type, and counts batches of one.
func TestStatementsAreToldByTheConventions(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	tracer, _ := start(t, tracing.Settings{Endpoint: collector.URL})
	db := testkit.Database(t, func(context.Context, string) error { return nil })
	pool, err := pgdb.Open(pgdb.Config{URL: db.AdminURL, Tracer: tracer.Postgres()})
	require.NoError(t, err)
	defer pool.Close()

	ctx, span := tracer.Begin(t.Context(), trace.SpanKindServer, "work", "")
	exec := func(sql string) { _, _ = pool.Exec(ctx, sql) }
	exec("CREATE TABLE things (id int)")
	exec("INSERT INTO things VALUES (1), (2)")
	exec("SELECT id FROM things")
	exec("SELECT 1/0")
	exec("SELECT nonsense")
	batch := func(statements ...string) {
		var b pgx.Batch
		for _, s := range statements {
			b.Queue(s)
		}
		_ = pool.SendBatch(ctx, &b).Close()
	}
	batch("SELECT 1")
	batch("SELECT 1", "SELECT 1/0")
	short, cancel := context.WithTimeout(ctx, 0)
	_, err = pool.Exec(short, "SELECT 2")
	cancel()
	require.Error(t, err)
	span.End(nil)
	tracer.Close()

	var got []string
	for _, s := range collector.Spans() {
		require.Equal(t, s.Failed, s.Attributes["error.type"] != "", "%s %v", s.Name, s.Attributes)
		require.NotContains(t, fmt.Sprint(s.Attributes), "pgx.", s.Name)
		got = append(got, fmt.Sprint(s.Name, " ", s.Attributes["db.query.text"], " ", s.Attributes["pasdetrois.rows_affected"],
			s.Attributes["db.response.returned_rows"], s.Attributes["db.operation.batch.size"], " ", s.Attributes["db.response.status_code"]))
	}
	for _, want := range []string{
		"INSERT INSERT INTO things VALUES (1), (2) int_value:2 ",
		"SELECT SELECT id FROM things int_value:2 ",
		"SELECT SELECT 1/0  22012",
		"SELECT SELECT nonsense  42703",
		"BATCH   ",
		"BATCH  int_value:2 22012",
	} {
		require.Contains(t, got, want)
	}
}
