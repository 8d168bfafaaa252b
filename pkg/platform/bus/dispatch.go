package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
)

// dispatcher turns a record into a use case's call and the call's result into publications.
type dispatcher struct {
	service   string
	routes    map[string]Route // by topic + "/" + event
	publisher Publisher
	log       *slog.Logger
}

func newDispatcher(service string, table Table, publisher Publisher, log *slog.Logger) (*dispatcher, error) {
	d := &dispatcher{service: service, routes: make(map[string]Route, len(table)), publisher: publisher, log: log}
	for _, r := range table {
		key := r.topic + "/" + r.event
		if _, twice := d.routes[key]; twice {
			return nil, fmt.Errorf("event %s has two routes", r.event)
		}
		d.routes[key] = r
	}
	if len(d.routes) == 0 {
		return nil, errors.New("a consumer needs at least one route")
	}
	return d, nil
}

// outcome is what became of a record that was handled without error.
type outcome string

const (
	handled outcome = "handled"
	ignored outcome = "ignored" // an event that this service has no use for
)

// dispatch decodes r, runs its use case and publishes the results. It returns the event's name as far as it was known.
// seen is called with that name before the use case runs.
func (d *dispatcher) dispatch(ctx context.Context, r messages.Record, seen func(event string)) (outcome, error) {
	m, err := messages.Decode(r)
	if errors.Is(err, messages.ErrUnknownEvent) {
		d.log.Debug("ignored", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "err", err)
		return ignored, nil
	}
	if err != nil {
		var bad *messages.DecodeError
		if errors.As(err, &bad) {
			return "", fault.Wrap(bad.Reason, err)
		}
		return "", fault.Wrap("undecodable", err)
	}
	event := m.Event.EventName()
	seen(event)
	route, ok := d.routes[r.Topic+"/"+event]
	if !ok {
		d.log.Debug("ignored", "event", event, "topic", r.Topic, "message_id", m.ID)
		return ignored, nil
	}
	in := In[messages.Event]{ID: m.ID, Event: m.Event, Time: m.Time, TraceParent: m.TraceParent, Record: r}
	results := route.handle(ctx, []In[messages.Event]{in})
	if len(results) != 1 {
		return "", fmt.Errorf("handler %s.%s answered 1 message with %d results", d.service, event, len(results))
	}
	if err := results[0].Err; err != nil {
		return "", err
	}
	if err := d.publish(ctx, in, results[0].Publish); err != nil {
		return "", err
	}
	d.log.Debug("handled", "event", event, "order_id", m.Event.Key(), "message_id", m.ID, "topic", r.Topic,
		"partition", r.Partition, "offset", r.Offset, "trace_id", traceID(m.TraceParent))
	return handled, nil
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
		if out[i].TraceParent == "" {
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

// traceID returns the trace id within a traceparent header, "" when there is none.
func traceID(traceParent string) string {
	parts := strings.Split(traceParent, "-")
	if len(parts) < 4 {
		return ""
	}
	return parts[1]
}
