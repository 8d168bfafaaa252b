package tracing

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// statementScope is the scope of the spans that otelpgx makes.
const statementScope = "github.com/exaring/otelpgx"

// Postgres returns the tracer of a pool's statements: each is a child of the span in its context. It is nil when spans are not
// made, so that pgx skips tracing. Waiting for a connection has no span of its own.
func (t *Tracer) Postgres() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return statements{otelpgx.NewTracer(otelpgx.WithTracerProvider(t.provider),
		otelpgx.WithMeterProvider(metricnoop.NewMeterProvider()), otelpgx.WithDisableAcquireTracer())}
}

// statements adds the type of an error to the spans of statements, which otelpgx leaves out.
type statements struct{ *otelpgx.Tracer }

// TraceQueryEnd implements pgx.QueryTracer.
func (s statements) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	failed(ctx, data.Err)
	s.Tracer.TraceQueryEnd(ctx, conn, data)
}

// TraceBatchEnd implements pgx.BatchTracer.
func (s statements) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	failed(ctx, data.Err)
	s.Tracer.TraceBatchEnd(ctx, conn, data)
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (s statements) TraceCopyFromEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceCopyFromEndData) {
	failed(ctx, data.Err)
	s.Tracer.TraceCopyFromEnd(ctx, conn, data)
}

// TracePrepareEnd implements pgx.PrepareTracer.
func (s statements) TracePrepareEnd(ctx context.Context, conn *pgx.Conn, data pgx.TracePrepareEndData) {
	failed(ctx, data.Err)
	s.Tracer.TracePrepareEnd(ctx, conn, data)
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (s statements) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	failed(ctx, data.Err)
	s.Tracer.TraceConnectEnd(ctx, data)
}

// failed adds the class of an error to the statement's span, before otelpgx ends it. A query without rows is no error.
func failed(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		trace.SpanFromContext(ctx).SetAttributes(semconv.ErrorTypeKey.String(errorType(err)))
	}
}

// conventional returns spans as they are exported, changed in place. otelpgx has keys of its own where the conventions have
// names, and counts the statements even of a batch of one.
func conventional(spans []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	for i, s := range spans {
		if s.InstrumentationScope().Name == statementScope {
			spans[i] = inConventions(s)
		}
	}
	return spans
}

// renamed is a span with another name and other attributes.
type renamed struct {
	sdktrace.ReadOnlySpan
	name  string
	attrs []attribute.KeyValue
}

// Name implements sdktrace.ReadOnlySpan.
func (r renamed) Name() string { return r.name }

// Attributes implements sdktrace.ReadOnlySpan.
func (r renamed) Attributes() []attribute.KeyValue { return r.attrs }

// inConventions returns a span of otelpgx with the conventions' keys. Ended spans are read-only, so it wraps the span.
func inConventions(s sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan {
	given := s.Attributes()
	out := renamed{ReadOnlySpan: s, name: s.Name(), attrs: make([]attribute.KeyValue, 0, len(given)+1)}
	is := func(key attribute.Key) func(attribute.KeyValue) bool {
		return func(kv attribute.KeyValue) bool { return kv.Key == key }
	}
	read := slices.ContainsFunc(given, func(kv attribute.KeyValue) bool {
		return kv.Key == semconv.DBOperationNameKey && kv.Value.AsString() == "SELECT"
	})
	for _, kv := range given {
		switch kv.Key {
		case otelpgx.SQLStateKey:
			kv.Key = semconv.DBResponseStatusCodeKey
		case otelpgx.RowsAffectedKey:
			kv.Key = RowsAffectedKey
			if read {
				kv.Key = semconv.DBResponseReturnedRowsKey
			}
		case otelpgx.PrepareStmtNameKey:
			kv.Key = StatementKey
		case semconv.DBOperationBatchSizeKey:
			out.name = "BATCH"
			if kv.Value.AsInt64() == 1 {
				continue
			}
		}
		out.attrs = append(out.attrs, kv)
	}
	// otelpgx makes and ends the span of a statement within a batch in one step, so failed is not called for it.
	if s.Status().Code == codes.Error && !slices.ContainsFunc(out.attrs, is(semconv.ErrorTypeKey)) {
		value := semconv.ErrorTypeOther
		if at := slices.IndexFunc(out.attrs, is(semconv.DBResponseStatusCodeKey)); at >= 0 {
			value = semconv.ErrorTypeKey.String(out.attrs[at].Value.AsString())
		}
		out.attrs = append(out.attrs, value)
	}
	return out
}
