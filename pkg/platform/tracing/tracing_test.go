package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/pkg/platform/tracing/tracingtest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	first  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	second = "00-11111111111111111111111111111111-2222222222222222-01"
)

var shop = tracing.Process{Service: "shop", Version: "1.2.3", Instance: "host-1a2b"}

// logged is what was logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.b.String()), "\n")
}

func start(t *testing.T, s tracing.Settings) (*tracing.Tracer, *logged) {
	t.Helper()
	log := &logged{}
	tracer, err := tracing.Start(s, shop, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	require.True(t, tracer.On())
	return tracer, log
}

func TestSpansReachTheCollectorOverBothProtocols(t *testing.T) {
	t.Parallel()
	for protocol, collector := range map[string]*tracingtest.Collector{"": tracingtest.HTTP(t), "http/protobuf": tracingtest.HTTP(t),
		"grpc": tracingtest.GRPC(t)} {
		tracer, _ := start(t, tracing.Settings{Endpoint: collector.URL, Protocol: protocol})
		ctx, outer := tracer.Begin(t.Context(), trace.SpanKindConsumer, "outer", first)
		_, inner := tracer.Begin(ctx, trace.SpanKindProducer, "inner", "")
		inner.End(errors.New("broken"))
		outer.End(nil)
		tracer.Close()

		spans := collector.Spans()
		require.Len(t, spans, 2, protocol)
		require.Equal(t, "shop CONSUMER outer 00f067aa0ba902b7", spans[0].Service+" "+spans[0].Kind+" "+spans[0].Name+" "+spans[0].Parent)
		require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", spans[0].Trace)
		require.Equal(t, spans[0].ID, spans[1].Parent)
		require.Equal(t, "broken", spans[1].Error)
		require.Equal(t, "00-"+spans[0].Trace+"-"+spans[0].ID+"-01", outer.TraceParent())
	}
}

func TestBatchIsPartOfTheFirstTraceAndLinkedWithTheOthers(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	tracer, _ := start(t, tracing.Settings{Endpoint: collector.URL})
	_, member := tracer.Begin(t.Context(), trace.SpanKindConsumer, "member", second)
	_, batch := tracer.Batch(t.Context(), "batch", tracing.BatchSizeKey, []string{first, member.TraceParent(), ""})
	member.Link(batch.TraceParent())
	batch.End(nil)
	member.End(nil)
	tracer.Close()

	spans := collector.Spans()
	require.Equal(t, []string{"member", "batch"}, []string{spans[0].Name, spans[1].Name})
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", spans[1].Trace)
	require.Equal(t, []string{spans[0].Trace + "/" + spans[0].ID}, spans[1].Links)
	require.Equal(t, []string{spans[1].Trace + "/" + spans[1].ID}, spans[0].Links)
	require.Equal(t, "int_value:3", spans[1].Attributes["pasdetrois.batch_size"])
}

func TestTraceThatIsNotSampledStaysSo(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	tracer, _ := start(t, tracing.Settings{Endpoint: collector.URL})
	_, span := tracer.Begin(t.Context(), trace.SpanKindConsumer, "quiet", strings.TrimSuffix(first, "1")+"0")
	require.True(t, strings.HasSuffix(span.TraceParent(), "-00"), span.TraceParent())
	span.End(nil)
	tracer.Close()
	require.Empty(t, collector.Spans())
}

// Nobody waits for a collector that takes connections and never answers, and the log says so once.
func TestCollectorThatHangsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() }) // connections are taken by the system, and never read
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		tracer, log := start(t, tracing.Settings{Endpoint: "http://" + listener.Addr().String(), Protocol: protocol})
		began := time.Now()
		for range 20_000 { // ten times what waits for the collector at most
			_, span := tracer.Begin(t.Context(), trace.SpanKindConsumer, "work", first)
			span.End(nil)
		}
		worked := time.Since(began)
		tracer.Close()
		require.Less(t, time.Since(began)-worked, 20*time.Second, "closing gives up")
		require.Less(t, worked, 20*time.Second, "spans are dropped, not waited for")
		require.Contains(t, strings.Join(log.lines(), "\n"), "traces do not reach "+listener.Addr().String())
		warnings := 0
		for _, line := range log.lines() {
			if strings.Contains(line, "do not reach") {
				warnings++
			}
		}
		require.Equal(t, 1, warnings, log.lines())
	}
}

func TestCollectorThatComesBackIsToldOnce(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	collector.Refuse(true)
	tracer, log := start(t, tracing.Settings{Endpoint: collector.URL})
	export := func() {
		for range 3 {
			_, span := tracer.Begin(t.Context(), trace.SpanKindConsumer, "work", first)
			span.End(nil)
			require.NoError(t, tracer.Flush(t.Context()))
		}
	}
	export()
	collector.Refuse(false)
	export()
	tracer.Close()
	require.Len(t, log.lines(), 2, log.lines())
	require.Contains(t, log.lines()[0], "level=WARN msg=\"traces do not reach "+strings.TrimPrefix(collector.URL, "http://"))
	require.Contains(t, log.lines()[1], "again")
	require.Len(t, collector.Spans(), 3)
}

func TestNoEndpointMakesNoTracerAndCostsNothing(t *testing.T) { // not parallel: it counts allocations
	tracer, err := tracing.Start(tracing.Settings{}, shop, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.False(t, tracer.On())
	require.Nil(t, tracer.Postgres())
	tracer.Close()
	parents := []string{first}
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		ctx, span := tracer.Begin(ctx, trace.SpanKindConsumer, "work", first)
		_, batch := tracer.Batch(ctx, "batch", tracing.BatchSizeKey, parents)
		span.Link(batch.TraceParent())
		batch.End(nil)
		span.End(nil)
		if tracing.Parent(ctx) != "" {
			panic("a parent out of nothing")
		}
	}))
}

func TestRequestsPassTheirTraceOn(t *testing.T) {
	t.Parallel()
	collector := tracingtest.HTTP(t)
	on, _ := start(t, tracing.Settings{Endpoint: collector.URL})
	var off *tracing.Tracer
	ask := func(tracer *tracing.Tracer, traceParent string) (parent string) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /things/{id}", func(_ http.ResponseWriter, r *http.Request) { parent = tracing.Parent(r.Context()) })
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/things/7", nil)
		if traceParent != "" {
			r.Header.Set("traceparent", traceParent)
		}
		tracer.HTTP(mux).ServeHTTP(httptest.NewRecorder(), r)
		return parent
	}
	require.Equal(t, first, ask(off, first))
	require.Empty(t, ask(off, ""))
	require.Empty(t, ask(off, "nonsense"))

	require.True(t, tracing.SameTrace(first, ask(on, first)))
	require.Len(t, ask(on, ""), len(first))
	on.Close()
	spans := collector.Spans()
	require.Len(t, spans, 2)
	require.Equal(t, "SERVER GET /things/{id} 00f067aa0ba902b7", spans[0].Kind+" "+spans[0].Name+" "+spans[0].Parent)
	require.Empty(t, spans[1].Parent)
}

func TestSettingsThatAreWrongSayWhatIsRight(t *testing.T) {
	t.Parallel()
	require.NoError(t, tracing.Settings{}.Validate())
	require.NoError(t, tracing.Settings{Endpoint: "https://collector:4317", Protocol: "grpc"}.Validate())
	err := tracing.Settings{Endpoint: "collector:4317", Protocol: "thrift"}.Validate()
	require.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_ENDPOINT: give a URL such as http://localhost:4318")
	require.ErrorContains(t, err, `OTEL_EXPORTER_OTLP_PROTOCOL: "thrift" is neither http/protobuf nor grpc`)
}
