package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"pasdetrois/pkg/platform/masked"
)

const (
	scope = "pasdetrois/pkg/platform/tracing"
	// flushTimeout bounds the last export at shutdown.
	flushTimeout = 3 * time.Second

	headerTraceParent = "traceparent"
)

// Tracer makes spans. A nil Tracer makes no spans, and all its methods may be called.
type Tracer struct {
	log      *slog.Logger
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	giveUp   context.CancelFunc // cancels an export that runs during Close
}

// Process describes one process in all of its spans.
type Process struct {
	Service  string
	Version  string
	Instance string // names the process among those of the service
}

// resource describes the process in the words of the semantic conventions. The values of OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES take the place of ours.
func (p Process) resource(ctx context.Context) (*resource.Resource, error) {
	return resource.New(ctx, resource.WithSchemaURL(semconv.SchemaURL), resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(p.Service), semconv.ServiceNamespace("pas-de-trois"),
			semconv.ServiceVersion(p.Version), semconv.ServiceInstanceID(p.Instance)),
		resource.WithFromEnv())
}

// Start returns the tracer of a process, nil when the settings name no endpoint. It connects in the background, so a missing
// collector is no error. Close it when all that makes spans has stopped.
func Start(s Settings, of Process, log *slog.Logger) (*Tracer, error) {
	if s.Endpoint == "" {
		return nil, nil
	}
	exporter, err := s.exporter(context.Background())
	if err != nil {
		return nil, err
	}
	described, err := of.resource(context.Background())
	if err != nil {
		return nil, err
	}
	closing, giveUp := context.WithCancel(context.Background())
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(described), sdktrace.WithBatcher(
		&reporting{SpanExporter: exporter, log: log, collector: s.collector(), closing: closing}))
	return &Tracer{log: log, provider: provider, giveUp: giveUp,
		tracer: provider.Tracer(scope, trace.WithInstrumentationVersion(of.Version), trace.WithSchemaURL(semconv.SchemaURL))}, nil
}

// Close exports the remaining spans, for a few seconds at most. No span may begin after it.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	stop := time.AfterFunc(flushTimeout, t.giveUp)
	defer stop.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout+time.Second)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last traces were not exported in time", "err", err)
	}
	t.giveUp()
}

// Flush exports the spans that have ended, and waits for the collector. Tests call it.
func (t *Tracer) Flush(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.ForceFlush(ctx)
}

// On reports whether spans are made. Callers compute attributes only then.
func (t *Tracer) On() bool { return t != nil }

// Span is a span that has begun. The methods of a nil Span do nothing.
type Span struct{ span trace.Span }

// Begin begins a span: a child of parent, a W3C traceparent, else of ctx's span, else the first of a new trace.
func (t *Tracer) Begin(ctx context.Context, kind trace.SpanKind, name, parent string, attrs ...attribute.KeyValue) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	ctx, span := t.tracer.Start(within(ctx, parent), name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	return ctx, &Span{span}
}

// Batch begins the span of a batch: a child of the first parent, linked with all of them. size is the key that counts them;
// a batch of one has no count, as the conventions demand.
func (t *Tracer) Batch(ctx context.Context, name string, size attribute.Key, parents []string, attrs ...attribute.KeyValue) (context.Context, *Span) {
	if t == nil || len(parents) == 0 {
		return ctx, nil
	}
	var links []trace.Link
	for _, p := range parents[1:] {
		if c := spanContext(p); c.IsValid() {
			links = append(links, trace.Link{SpanContext: c})
		}
	}
	if len(parents) > 1 {
		attrs = append(attrs, size.Int(len(parents)))
	}
	ctx, span := t.tracer.Start(within(ctx, parents[0]), name, trace.WithLinks(links...), trace.WithAttributes(attrs...))
	return ctx, &Span{span}
}

// Step begins a span for a step in another trace than that of ctx: a child of parent, a W3C traceparent. It and the span of ctx
// are linked with each other, so each trace leads to the other one.
func (t *Tracer) Step(ctx context.Context, name, parent string) *Span {
	_, step := t.Begin(ctx, trace.SpanKindInternal, name, parent)
	step.Link(Parent(ctx))
	if step != nil {
		Current(ctx).Link(step.TraceParent())
	}
	return step
}

// TraceParent returns the span as a W3C traceparent, "" when there is none. Messages and outbox rows carry it across processes.
func (s *Span) TraceParent() string {
	if s == nil {
		return ""
	}
	return format(s.span.SpanContext())
}

// Current returns the span of ctx.
func Current(ctx context.Context) *Span { return &Span{trace.SpanFromContext(ctx)} }

// Link links the span with one of another trace, given as a traceparent. Within one trace there is nothing to link.
func (s *Span) Link(traceParent string) {
	if s == nil {
		return
	}
	if c := spanContext(traceParent); c.IsValid() && c.TraceID() != s.span.SpanContext().TraceID() {
		s.span.AddLink(trace.Link{SpanContext: c})
	}
}

// End ends the span, with the error of its work or nil. An error's class is the span's error.type. A span that is never ended is
// never exported.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	if err != nil {
		text := masked.Addresses(err.Error())
		if text == err.Error() {
			s.span.RecordError(err)
		} else { // RecordError would write the address
			s.span.AddEvent("exception", trace.WithAttributes(semconv.ExceptionType(fmt.Sprintf("%T", err)), semconv.ExceptionMessage(text)))
		}
		s.span.SetStatus(codes.Error, text)
		s.span.SetAttributes(semconv.ErrorTypeKey.String(errorType(err)))
	}
	s.span.End()
}

// Parent returns the W3C traceparent of ctx's span, "" when it has none.
func Parent(ctx context.Context) string { return format(trace.SpanContextFromContext(ctx)) }

// SameTrace reports whether two traceparents are of one trace. It compares texts, so both must be in the canonical form.
func SameTrace(a, b string) bool {
	const traceID = len("00-4bf92f3577b34da6a3ce929d0e0e4736")
	return len(a) > traceID && len(b) > traceID && a[:traceID] == b[:traceID]
}

// within returns a context whose span is parent, or ctx itself when parent is no valid traceparent.
func within(ctx context.Context, parent string) context.Context {
	if c := spanContext(parent); c.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, c)
	}
	return ctx
}

// spanContext parses a traceparent. An empty or malformed one gives a SpanContext that is not valid.
func spanContext(traceParent string) trace.SpanContext {
	if traceParent == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{headerTraceParent: traceParent})
	return trace.SpanContextFromContext(ctx)
}

// format writes a traceparent of version 00. Of the flags it keeps only sampled, which that version defines.
func format(c trace.SpanContext) string {
	if !c.IsValid() {
		return ""
	}
	const hex = "0123456789abcdef"
	flags := byte(c.TraceFlags()) & byte(trace.FlagsSampled)
	return "00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-0" + hex[flags:flags+1]
}
