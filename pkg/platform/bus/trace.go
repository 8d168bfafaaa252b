package bus

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/tracing"
)

// Headers as the contract names them: a record that is published is not decoded again to be traced.
const (
	headerTraceParent = "traceparent"
	headerMessageID   = "ce_id"
)

// attributes describe a record by OpenTelemetry's conventions for messaging.
func attributes(r messages.Record, operation, kind string) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		attribute.String("messaging.system", "kafka"),
		attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.operation.type", kind),
		attribute.String("messaging.destination.name", r.Topic),
	}
	if len(r.Key) > 0 {
		attrs = append(attrs, attribute.String("messaging.kafka.message.key", string(r.Key)))
	}
	return attrs
}

// process begins the span of one attempt at a message.
func (d *dispatcher) process(ctx context.Context, in In[messages.Event]) (context.Context, *tracing.Span) {
	attrs := append(attributes(in.Record, "process", "process"),
		attribute.String("messaging.message.id", in.ID),
		attribute.String("messaging.destination.partition.id", strconv.Itoa(int(in.Record.Partition))),
		attribute.Int64("messaging.kafka.offset", in.Record.Offset),
		attribute.String("messaging.consumer.group.name", d.service+"."+in.Record.Topic),
		attribute.String("event", in.Event.EventName()))
	return d.tracer.Begin(ctx, trace.SpanKindConsumer, "process "+in.Record.Topic, in.TraceParent, attrs...)
}

// batch handles a batch within a span of its own. Each message of a batch of several is linked with it.
func (d *dispatcher) batch(ctx context.Context, r Route, batch []In[messages.Event]) []Result {
	if !d.tracer.On() {
		return r.handle(ctx, batch)
	}
	parents := make([]string, len(batch))
	for i, in := range batch {
		parents[i] = in.TraceParent
	}
	ctx, span := d.tracer.Batch(ctx, r.event, parents)
	results := r.handle(ctx, batch)
	var errs []error
	for i := range results {
		errs = append(errs, results[i].Err)
		results[i].batch = span.TraceParent()
	}
	span.End(errors.Join(errs...))
	return results
}

// sending begins a span for each record, and returns the records as parts of them: who reads one goes on from there. end
// ends the spans.
func sending(ctx context.Context, t *tracing.Tracer, records []messages.Record) (traced []messages.Record, end func(error)) {
	traced = slices.Clone(records) // they may be published again, and then have the parent that they have now
	spans := make([]*tracing.Span, len(records))
	for i, r := range records {
		attrs := attributes(r, "send", "send")
		parent := slices.IndexFunc(r.Headers, func(h messages.Header) bool { return h.Key == headerTraceParent })
		if id := slices.IndexFunc(r.Headers, func(h messages.Header) bool { return h.Key == headerMessageID }); id >= 0 {
			attrs = append(attrs, attribute.String("messaging.message.id", string(r.Headers[id].Value)))
		}
		var traceParent string
		if parent >= 0 {
			traceParent = string(r.Headers[parent].Value)
		}
		_, spans[i] = t.Begin(ctx, trace.SpanKindProducer, "send "+r.Topic, traceParent, attrs...)
		if parent >= 0 {
			traced[i].Headers = slices.Clone(r.Headers)
			traced[i].Headers[parent].Value = []byte(spans[i].TraceParent())
		}
	}
	return traced, func(err error) {
		for _, s := range spans {
			s.End(err)
		}
	}
}
