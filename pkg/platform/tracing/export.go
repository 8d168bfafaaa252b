package tracing

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// reporting logs once when spans begin to be lost, and once when exporting works again. It returns no error: the SDK would only
// print it. The SDK calls it in the background, so no request waits for a collector.
type reporting struct {
	sdktrace.SpanExporter
	log       *slog.Logger
	collector string
	closing   context.Context // its end cancels an export
	failing   atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter. Spans of a failed export are dropped: the exporter has retried by then.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.closing, cancel)()
	err := r.SpanExporter.ExportSpans(ctx, conventional(spans))
	switch {
	case err != nil && !r.failing.Swap(true):
		r.log.Warn("traces do not reach "+r.collector+" and are lost until it answers; nothing else waits for it", "err", err)
	case err == nil && r.failing.Swap(false):
		r.log.Info("traces reach " + r.collector + " again")
	}
	return nil
}
