package bus

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/tracing"
)

// The contract's names of headers. Tracing reads them directly, because decoding a record again would cost too much.
const (
	headerTraceParent = "traceparent"
	headerMessageID   = "ce_id"
)

// The operations of spans, as Kafka's clients call them.
const (
	opSend    = "send"
	opProcess = "process"
)

// attributes describe a record by OpenTelemetry's conventions for messaging. The topic has its name on the brokers.
func attributes(cfg kafka.Config, client string, r messages.Record, operation string, kind attribute.KeyValue) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 11)
	attrs = append(attrs, semconv.MessagingSystemKafka, semconv.MessagingOperationName(operation), kind,
		semconv.MessagingDestinationName(cfg.TopicPrefix+r.Topic), semconv.MessagingClientID(client))
	if len(r.Key) > 0 && utf8.Valid(r.Key) { // a key without one clear form as text is left out
		attrs = append(attrs, semconv.MessagingKafkaMessageKey(string(r.Key)))
	}
	return attrs
}

// process begins the span of one attempt at a record. The event and the id are "" when the record could not be decoded.
func (d *dispatcher) process(ctx context.Context, r messages.Record, event, id, traceParent string) (context.Context, *tracing.Span) {
	attrs := append(attributes(d.cfg, kafka.MemberID(d.service, d.replica), r, opProcess, semconv.MessagingOperationTypeProcess),
		semconv.MessagingDestinationPartitionID(strconv.Itoa(int(r.Partition))), semconv.MessagingKafkaOffset(int(r.Offset)),
		semconv.MessagingConsumerGroupName(d.cfg.Group(d.service, r.Topic)))
	if id != "" {
		attrs = append(attrs, semconv.MessagingMessageID(id), tracing.EventKey.String(event))
	}
	return d.tracer.Begin(ctx, trace.SpanKindConsumer, opProcess+" "+d.cfg.TopicPrefix+r.Topic, traceParent, attrs...)
}

// undecodable makes the span of a record that could not be decoded.
func (d *dispatcher) undecodable(ctx context.Context, r messages.Record, err error) {
	if !d.tracer.On() {
		return
	}
	_, span := d.process(ctx, r, "", "", valueOf(r, headerTraceParent))
	span.End(err)
}

// batch handles a batch within a span of its own. It notes the span in each result, so that the spans of the messages can link
// to it. The span fails when one message fails.
func (d *dispatcher) batch(ctx context.Context, r Route, batch []In[messages.Event]) []Result {
	if !d.tracer.On() {
		return r.handle(ctx, batch)
	}
	parents := make([]string, len(batch))
	for i, in := range batch {
		parents[i] = in.TraceParent
	}
	ctx, span := d.tracer.Batch(ctx, r.event, semconv.MessagingBatchMessageCountKey, parents, semconv.MessagingSystemKafka,
		semconv.MessagingOperationName(opProcess), semconv.MessagingOperationTypeProcess,
		semconv.MessagingDestinationName(d.cfg.TopicPrefix+r.topic))
	results := r.handle(ctx, batch)
	var errs []error
	for i := range results {
		errs = append(errs, results[i].Err)
		results[i].batch = span.TraceParent()
	}
	span.End(errors.Join(errs...))
	return results
}

// sending begins a span for each record, and returns the records with these spans as their parents: a reader's span continues
// the trace. end ends the spans.
func (p *Producer) sending(ctx context.Context, records []messages.Record) (traced []messages.Record, end func(error)) {
	traced = slices.Clone(records) // a repetition of the publication needs the original parent
	spans := make([]*tracing.Span, len(records))
	for i, r := range records {
		attrs := attributes(p.cfg, kafka.ClientID(p.service), r, opSend, semconv.MessagingOperationTypeSend)
		if id := valueOf(r, headerMessageID); id != "" {
			attrs = append(attrs, semconv.MessagingMessageID(id))
		}
		_, spans[i] = p.tracer.Begin(ctx, trace.SpanKindProducer, opSend+" "+p.cfg.TopicPrefix+r.Topic, valueOf(r, headerTraceParent), attrs...)
		if parent := header(r, headerTraceParent); parent >= 0 {
			traced[i].Headers = slices.Clone(r.Headers)
			traced[i].Headers[parent].Value = []byte(spans[i].TraceParent())
		}
	}
	return traced, func(err error) {
		var some unwritten
		err = named(err)
		for i, s := range spans {
			if errors.As(err, &some) && !slices.Contains(some.indexes, i) {
				s.End(nil)
			} else {
				s.End(err)
			}
		}
	}
}

// header returns the index of a record's header, -1 when the record has none of that name.
func header(r messages.Record, name string) int {
	return slices.IndexFunc(r.Headers, func(h messages.Header) bool { return h.Key == name })
}

// valueOf returns the value of a record's first header of a name, "" without one.
func valueOf(r messages.Record, name string) string {
	if at := header(r, name); at >= 0 {
		return string(r.Headers[at].Value)
	}
	return ""
}

// named returns err with its name in Kafka's protocol, when it has one.
func named(err error) error {
	var code sarama.KError
	if !errors.As(err, &code) {
		return err
	}
	if known := kerr.TypedErrorForCode(int16(code)); known != nil {
		return protocolError{err, known.Message}
	}
	return err
}

// protocolError is an error with its name in Kafka's protocol, such as NOT_ENOUGH_REPLICAS.
type protocolError struct {
	error
	name string
}

// Unwrap returns the error that has the name.
func (e protocolError) Unwrap() error { return e.error }

// ErrorType implements tracing.Typed.
func (e protocolError) ErrorType() string { return e.name }
