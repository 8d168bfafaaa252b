package messages

import (
	"errors"
	"time"
)

// The four topics of the choreography. A record's key is the order id, and the sku for InventoryChanged.
const (
	TopicOrders        = "orders"
	TopicPayments      = "payments"
	TopicNotifications = "notifications"
	TopicOrderFailures = "order-failures"
)

// Event is the body of one message: one of the types of this package, by value.
type Event interface {
	// EventName returns the value of the body's field `event`.
	EventName() string
	// Topic returns the topic that carries the event.
	Topic() string
	// Key returns the record key: the order id, the sku of InventoryChanged, or "" for a notification that belongs to no order.
	Key() string
	// Order returns the order that the event is about, "" when it is about none. A sku may be the id of an order as well, so
	// Key must not stand for the order.
	Order() string
	// Validate returns every broken rule of the body, joined, or nil.
	Validate() error
}

// Header is one Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// Record is a Kafka record as a client reads or writes it. Partition and Offset are set only on a record that was read.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   Headers
	Time      time.Time
	// LastOffset is not zero when the record represents a batch that could not be read, from Offset to LastOffset.
	LastOffset int64
}

// Message is an Event with its delivery metadata.
type Message struct {
	// ID names the message. It is deterministic: the same decision always has the same id (see ID). A record without
	// one gets an id made of its topic, key, time and value, which a copy of the record has too.
	ID string
	// Event is the body, valid.
	Event Event
	// Source is the service that published the message, "" when unknown.
	Source string
	// Time is when the message was made: the body's timestamp, else the header ce_time, else the record's time.
	Time time.Time
	// OrderTime is when the order that the message is about was received, zero when its publisher does not set it. Metrics
	// use it, and no decision depends on it.
	OrderTime time.Time
	// Outside is true when a producer other than the orders service requested the payment that the message is about.
	Outside bool
	// Signature is the value of the header SignatureHeader, "" without one. Package signing makes it, and Decode leaves it out.
	Signature string
	// TraceParent is the W3C trace context, "" when there is none.
	TraceParent string
}

// ErrUnknownEvent is wrapped by Decode's error for a record whose `event` is well formed but not one that its topic
// carries. A consumer acknowledges the record: a later version of the contract may have the event.
var ErrUnknownEvent = errors.New("unknown event")
