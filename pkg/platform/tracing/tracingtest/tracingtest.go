// Package tracingtest is an OpenTelemetry collector for tests: it keeps the spans that it receives.
package tracingtest

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it was exported.
type Span struct {
	Trace, ID, Parent string // Parent is "" at the root of a trace
	Service, Name     string
	Kind              string // SERVER, CLIENT, PRODUCER, CONSUMER or INTERNAL
	Begin, End        time.Time
	Attributes        map[string]string
	Resource          map[string]string // attributes of the process
	Schema            string            // URL that the resource names
	Scope             string            // name, version and schema URL of the instrumentation
	Links             []string          // trace and span, as trace/span
	Failed            bool
	Error             string
}

// Collector receives spans.
type Collector struct {
	collector.UnimplementedTraceServiceServer
	URL string

	mu     sync.Mutex
	spans  []Span
	refuse bool
}

// HTTP starts a collector for http/protobuf that stops when the test ends.
func HTTP(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		switch {
		case c.refuses():
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path != "/v1/traces" || err != nil || proto.Unmarshal(body, &request) != nil:
			w.WriteHeader(http.StatusBadRequest)
		default:
			c.keep(&request)
		}
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// GRPC starts a collector for grpc that stops when the test ends.
func GRPC(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-done)
	})
	c.URL = "http://" + listener.Addr().String()
	return c
}

// Export implements collector.TraceServiceServer.
func (c *Collector) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.keep(r)
	return &collector.ExportTraceServiceResponse{}, nil
}

// Refuse makes an HTTP collector answer with an error, or with none again.
func (c *Collector) Refuse(refuse bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = refuse
}

func (c *Collector) refuses() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refuse
}

// Spans returns the spans that were received so far, by time.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(slices.Values(c.spans), func(a, b Span) int { return a.Begin.Compare(b.Begin) })
}

func (c *Collector) keep(r *collector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		process := attributes(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				one := span(process["service.name"], s)
				one.Resource, one.Schema = process, resource.GetSchemaUrl()
				one.Scope = strings.TrimSpace(scope.GetScope().GetName() + " " + scope.GetScope().GetVersion() + " " + scope.GetSchemaUrl())
				c.spans = append(c.spans, one)
			}
		}
	}
}

func span(service string, s *trace.Span) Span {
	out := Span{Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
		Parent: hex.EncodeToString(s.GetParentSpanId()), Service: service, Name: s.GetName(),
		Kind:  strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"),
		Begin: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
		Attributes: attributes(s.GetAttributes())}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetTraceId())+"/"+hex.EncodeToString(l.GetSpanId()))
	}
	if s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR {
		out.Failed, out.Error = true, s.GetStatus().GetMessage()
	}
	return out
}

func attributes(list []*common.KeyValue) map[string]string {
	found := make(map[string]string, len(list))
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			found[kv.GetKey()] = v.StringValue
		default:
			found[kv.GetKey()] = strings.TrimSpace(kv.GetValue().String())
		}
	}
	return found
}
