package tracing

import "go.opentelemetry.io/otel/attribute"

// The attributes of spans for which the semantic conventions have no key. All other attributes are keys of version 1.43.0 of the
// conventions.
const (
	EventKey        = attribute.Key("pasdetrois.event")         // of the contract
	OrderKey        = attribute.Key("pasdetrois.order_id")      // of the order that the span is about
	KindKey         = attribute.Key("pasdetrois.kind")          // of a message to a person
	MessageKey      = attribute.Key("pasdetrois.message_id")    // of the message that led to the span
	AttemptKey      = attribute.Key("pasdetrois.attempt")       // from 1 on
	BatchSizeKey    = attribute.Key("pasdetrois.batch_size")    // requests in one transaction, from 2 on
	RowsAffectedKey = attribute.Key("pasdetrois.rows_affected") // by a statement that changes rows
	StatementKey    = attribute.Key("pasdetrois.statement")     // name of a prepared statement
)
