package tracing

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// reporting tells once that spans are not exported, and once that they are again. It swallows the error: there is nothing
// that anybody could do with it.
type reporting struct {
	sdktrace.SpanExporter
	log       *slog.Logger
	collector string
	closing   context.Context // what is being exported is given up when it ends
	failing   atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter.
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
