// Package tracing exports OpenTelemetry spans, when it is told where to.
//
// The W3C trace context is passed on in any case, by whoever handles requests and messages. Without an endpoint there is
// no Tracer: Start returns nil, on which every method works and does nothing. With one, spans are handed over in memory
// and exported in the background: a collector that is slow, down or hangs costs spans, never time, and one line of the
// log when that begins and one when it ends.
//
// A batch is one span, in the trace of its first message and linked with all of them: what it does in the database is
// done once for all.
package tracing
