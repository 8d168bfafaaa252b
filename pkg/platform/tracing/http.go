package tracing

import (
	"net/http"
	"strconv"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// HTTP returns a handler that makes one span of each request to next. The span has the method and the route that next names
// in the request's Pattern. A request without a route is named by its method alone. Without a Tracer a client's trace
// context is passed on all the same.
func (t *Tracer) HTTP(next http.Handler) http.Handler {
	if t == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(headerTraceParent) != "" {
				r = r.WithContext(propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header)))
			}
			next.ServeHTTP(w, r)
		})
	}
	traced := otelhttp.NewHandler(described(next), "", otelhttp.WithTracerProvider(t.provider),
		otelhttp.WithPropagators(propagation.TraceContext{}), otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// otelhttp takes the pattern that it finds at the start for the route. It is the one of a mux around this handler.
		r = r.WithContext(r.Context())
		r.Pattern = ""
		traced.ServeHTTP(w, r)
	})
}

// described adds the route and the type of an error to a request's span, once the answer is complete.
func described(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		span := trace.SpanFromContext(r.Context())
		answer := &answered{ResponseWriter: w}
		complete := false
		defer func() {
			route := routeOf(r.Pattern)
			if route != "" {
				span.SetAttributes(semconv.HTTPRoute(route))
			}
			switch {
			case !complete: // next panicked, and the connection is cut; otelhttp then leaves the name as it was
				if route != "" {
					span.SetName(r.Method + " " + route)
				}
				span.SetAttributes(semconv.ErrorTypeKey.String("aborted"))
				span.SetStatus(codes.Error, "the answer was cut off")
			case answer.status >= http.StatusInternalServerError:
				span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(answer.status)))
			}
		}()
		next.ServeHTTP(answer, r)
		complete = true
	})
}

// routeOf returns the path of a mux's pattern, such as "POST /things/{id}".
func routeOf(pattern string) string {
	for i := range len(pattern) {
		if pattern[i] == '/' {
			return pattern[i:]
		}
	}
	return ""
}

// answered is a ResponseWriter that keeps the status.
type answered struct {
	http.ResponseWriter
	status int // 0 = not written yet; an answer without one is 200
}

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(status int) {
	if a.status == 0 && status >= 200 { // 1xx only announce an answer
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answered) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap returns the writer within, through which http.ResponseController sets deadlines.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }
