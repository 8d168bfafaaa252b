package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/batch"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/lanes"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/tracing"
)

// dispatcher decodes a record, runs its use case and publishes the results. Its fields never change once it is made, so it is
// safe for concurrent use.
type dispatcher struct {
	service   string
	routes    map[string]*route // by topic + "/" + event
	publisher Publisher
	log       *slog.Logger
	tracer    *tracing.Tracer
	cfg       kafka.Config // names topics and groups in spans
	replica   string
	trusted   *signing.Keys
	signer    *signing.Signer
	mapped    func(messages.Message, messages.Record) (messages.Message, messages.Record, error) // nil = none
}

// route is a Route and the batches of messages that wait for it.
type route struct {
	Route
	batches *batch.Batcher[In[messages.Event], Result]
}

// newDispatcher gives each route a batcher. Another message of the batch may be the cause of a transient or cancelled error, so
// the batcher handles such a message again, alone. A permanent error is the message's own.
func newDispatcher(service string, table Table, publisher Publisher, log *slog.Logger, m *metrics, timeout time.Duration) (*dispatcher, error) {
	d := &dispatcher{service: service, routes: make(map[string]*route, len(table)), publisher: publisher, log: log}
	for _, r := range table {
		key := r.topic + "/" + r.event
		if _, twice := d.routes[key]; twice {
			return nil, fmt.Errorf("event %s has two routes", r.event)
		}
		size := m.batch.WithLabelValues(r.event)
		d.routes[key] = &route{r, batch.New(batch.Config[In[messages.Event], Result]{
			Timeout: timeout,
			Handle: func(ctx context.Context, batch []In[messages.Event]) []Result {
				return d.signed(d.batch(ctx, r, batch))
			},
			Failed:  func(r Result) bool { return r.Err != nil && fault.KindOf(r.Err) != fault.Permanent },
			Observe: func(n int) { size.Observe(float64(n)) },
		})}
	}
	if len(d.routes) == 0 {
		return nil, errors.New("a consumer needs at least one route")
	}
	return d, nil
}

// outcome is the result of a record without an error.
type outcome string

const (
	handled outcome = "handled"
	ignored outcome = "ignored" // an event without a route
)

// close abandons the batches that still run. Their messages get an error, are not acknowledged, and are redelivered.
func (d *dispatcher) close() {
	for _, r := range d.routes {
		r.batches.Close()
	}
}

// inBatch returns a runner that runs the use case for all messages that wait for it now. A message that failed before runs alone.
func inBatch(cl *lanes.Lane) runner {
	return func(ctx context.Context, r *route, in In[messages.Event]) Result {
		do := r.batches.Do
		if cl.Alone() {
			do = r.batches.DoAlone
		}
		result, err := do(ctx, in)
		if err != nil {
			result = Result{Err: fmt.Errorf("wait for a batch of %s: %w", r.event, err)}
		}
		if result.Err != nil {
			cl.Failed()
		}
		return result
	}
}

// single is the runner for one message without a lane. A handler with a wrong number of results is a fault of its code.
func single(ctx context.Context, r *route, in In[messages.Event]) Result {
	results := r.handle(ctx, []In[messages.Event]{in})
	if len(results) != 1 {
		return Result{Err: fmt.Errorf("1 message was answered with %d results", len(results))}
	}
	return results[0]
}

// signed signs what the results of a batch publish. They share a signature, which costs more than a record does.
func (d *dispatcher) signed(results []Result) []Result {
	if d.signer == nil {
		return results
	}
	var all []*messages.Message
	for _, r := range results {
		for i := range r.Publish {
			all = append(all, &r.Publish[i])
		}
	}
	d.signer.Messages(all)
	return results
}

// runner runs a route's use case for one message.
type runner func(ctx context.Context, r *route, in In[messages.Event]) Result

// dispatch decodes r, runs its use case by run, and publishes the results. It calls seen with the event's name first, so that a
// failure is counted for the event.
//
// Its error decides about the record. nil acknowledges it; so an unknown event, and an event without a route, is acknowledged.
// The header alone names the event, so a service need not decode its own messages. A record that cannot be decoded, or that no
// trusted key signed although its event needs one, is a permanent error. Every way to a use case leads through here, so a replay
// of a dead letter checks the signature again.
func (d *dispatcher) dispatch(ctx context.Context, r messages.Record, seen func(event string), run runner) (outcome, error) {
	if event, ok := messages.Announced(r); ok && d.routes[r.Topic+"/"+event] == nil {
		seen(event)
		d.log.Debug("ignored", "event", event, "topic", r.Topic, "partition", r.Partition, "offset", r.Offset)
		return ignored, nil
	}
	m, err := messages.Decode(r)
	if errors.Is(err, messages.ErrUnknownEvent) {
		d.log.Debug("ignored", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "err", err)
		return ignored, nil
	}
	if err != nil {
		reason := "undecodable"
		var bad *messages.DecodeError
		if errors.As(err, &bad) {
			reason = bad.Reason
		}
		err = fault.Wrap(reason, err)
		d.undecodable(ctx, r, err)
		return "", err
	}
	event := m.Event.EventName()
	seen(event)
	route, ok := d.routes[r.Topic+"/"+event]
	if !ok {
		d.log.Debug("ignored", "event", event, "topic", r.Topic, "message_id", m.ID)
		return ignored, nil
	}
	if err := d.trusted.Check(r, m); err != nil {
		err = fault.Wrap(signing.ReasonNotSigned, err)
		d.undecodable(ctx, r, err)
		return "", err
	}
	if d.mapped != nil {
		if m, r, err = d.mapped(m, r); err != nil {
			return "", err
		}
	}
	in := In[messages.Event]{ID: m.ID, Event: m.Event, Time: m.Time, OrderTime: m.OrderTime, Source: m.Source, Outside: m.Outside,
		TraceParent: m.TraceParent, Record: r}
	if err := d.handle(ctx, route, in, run); err != nil {
		return "", err
	}
	if d.log.Enabled(ctx, slog.LevelDebug) {
		d.log.Debug("handled", "event", event, "order_id", m.Event.Order(), "message_id", m.ID, "topic", r.Topic,
			"partition", r.Partition, "offset", r.Offset, "trace_id", traceID(m.TraceParent))
	}
	return handled, nil
}

// handle runs the use case and publishes its results. An error of publishing fails the whole attempt: the use case then runs
// again, finds its effect done, and returns the same messages.
func (d *dispatcher) handle(ctx context.Context, route *route, in In[messages.Event], run runner) (err error) {
	var span *tracing.Span
	if d.tracer.On() {
		ctx, span = d.process(ctx, in.Record, in.Event.EventName(), in.ID, in.TraceParent)
		defer func() { span.End(err) }()
		in.TraceParent = span.TraceParent()
	}
	result := run(ctx, route, in)
	if result.batch != "" {
		span.Link(result.batch)
	}
	if result.Err != nil {
		return result.Err
	}
	return d.publish(ctx, in, result.Publish)
}

// publish sends a use case's outputs as part of the trace of the message that caused them.
func (d *dispatcher) publish(ctx context.Context, in In[messages.Event], out []messages.Message) error {
	if len(out) == 0 {
		return nil
	}
	if in.TraceParent == "" {
		in.TraceParent = messages.NewTraceParent() // one trace for all that the message causes
	}
	for i := range out {
		// A result may belong to another trace, that of its order. Within the message's trace the message is its parent.
		if out[i].TraceParent == "" || d.tracer.On() && tracing.SameTrace(out[i].TraceParent, in.TraceParent) {
			out[i].TraceParent = in.TraceParent
		}
	}
	return d.publisher.Publish(ctx, out...)
}

// topics returns the topics that the table consumes, each once, in the order of their first route.
func (t Table) topics() []string {
	var topics []string
	seen := make(map[string]bool)
	for _, r := range t {
		if !seen[r.topic] {
			seen[r.topic] = true
			topics = append(topics, r.topic)
		}
	}
	return topics
}

// eventsOf returns all events of the table's topics, with and without a route: each gets its metrics from the start.
func eventsOf(t Table) []string {
	topics := t.topics()
	var events []string
	for _, typ := range messages.Registry() {
		if slices.Contains(topics, typ.Topic) {
			events = append(events, typ.Name)
		}
	}
	return events
}

// traceID returns the trace id within a traceparent header, "" when there is none.
func traceID(traceParent string) string {
	parts := strings.Split(traceParent, "-")
	if len(parts) < 4 {
		return ""
	}
	return parts[1]
}
