// Package tracing exports OpenTelemetry spans to a collector, when the settings name one.
//
// The W3C trace context is passed on in any case: the HTTP handler, the consumer and the producer do it. Without an endpoint
// Start returns nil, on which every method works and does nothing. With an endpoint, spans are handed over in memory and
// exported in the background. A collector that is slow, down or hangs costs spans and never time. One log line says when
// that begins, and one when it ends.
//
// A batch is one span, in the trace of its first message and linked with all of them: its statements run once for all.
//
//	trace of an order   POST /orders --> send --> process --> (use case) --> send ...
//	                                                |  link
//	trace of another    ... --> process --link--> batch --> statements
//
// A Tracer and its Spans are safe for concurrent use.
package tracing
