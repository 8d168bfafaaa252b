package bus

import (
	"context"
	"time"

	"pasdetrois/pkg/messages"
)

// In is one message for a use case. The use case may keep it, but must not change Record: a retry reads the same bytes.
type In[E messages.Event] struct {
	ID          string
	Event       E
	Time        time.Time // when the message was made
	OrderTime   time.Time // when the order was received, zero when the message has no such time
	Source      string    // the service that published the message, "" when unknown
	Outside     bool      // see messages.Message
	TraceParent string
	Record      messages.Record // as it was read, for dead letters and held messages
}

// Result answers one In: the messages to publish before the record is acknowledged, or the error. Package fault classifies Err,
// and its kind decides about the record. With an error nothing is published.
type Result struct {
	Publish []messages.Message
	Err     error

	batch string // traceparent of the batch it was answered in, when spans are made
}

// Handler is the shape of every use case that a message triggers: a batch in, one Result per message, same order. Several
// goroutines call it. It is called again for a message whose acknowledgement was lost, so its effect must not depend on the
// number of calls. Within a batch no two messages have the same lane. ctx ends with the attempt's time.
type Handler[E messages.Event] func(ctx context.Context, batch []In[E]) []Result

// Route binds an event to its use case. On makes it.
type Route struct {
	topic, event string
	handle       func(ctx context.Context, batch []In[messages.Event]) []Result
}

// Event returns the event's name.
func (r Route) Event() string { return r.event }

// On routes the event E to h. The dispatcher decodes only this event for the route, so the conversion to E never fails.
func On[E messages.Event](h Handler[E]) Route {
	var zero E
	return Route{topic: zero.Topic(), event: zero.EventName(),
		handle: func(ctx context.Context, batch []In[messages.Event]) []Result {
			typed := make([]In[E], len(batch))
			for i, in := range batch {
				typed[i] = In[E]{ID: in.ID, Event: in.Event.(E), Time: in.Time, OrderTime: in.OrderTime, Source: in.Source, Outside: in.Outside,
					TraceParent: in.TraceParent, Record: in.Record}
			}
			return h(ctx, typed)
		}}
}

// Table holds the routes of one service. Events of its topics without a route are acknowledged and counted.
type Table []Route

// Publisher writes messages to Kafka.
type Publisher interface {
	// Publish returns when all in-sync replicas have every message, or when ctx ends. After an error some messages may be
	// written, and may still be written later: a repetition can make duplicates, which readers recognise by their ids.
	Publish(ctx context.Context, msgs ...messages.Message) error
	// PublishRecords is Publish for records that are encoded already.
	PublishRecords(ctx context.Context, records ...messages.Record) error
}
