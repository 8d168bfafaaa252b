package httpx

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts and times requests. Its labels have few values, however many different requests clients send: methods outside
// of HTTP's standard are "other", and a request without a route has the route "none". Safe for concurrent use.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	// turnedAway counts by role and cause.
	turnedAway *prometheus.CounterVec
}

// NewMetrics registers the metrics with reg. It panics when they are registered there already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pasdetrois_http_requests_total",
			Help: "HTTP requests answered, by method, route and class of the status."}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pasdetrois_http_request_seconds",
			Help:    "Time until the answer to an HTTP request began.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"method", "route"}),
		turnedAway: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pasdetrois_http_turned_away_total",
			Help: "Clients turned away because the service was too busy, by server and cause: connections, requests, waiting, queue."},
			[]string{"server", "cause"}),
	}
	for _, cause := range causes {
		m.turnedAway.WithLabelValues(string(Public), cause)
	}
	reg.MustRegister(m.requests, m.seconds, m.turnedAway)
	return m
}

// Measure returns a handler that measures another, made by NewAPI. The time is that until the answer begins: a stream is
// not slow because it is long.
func (m *Metrics) Measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		answer := &measured{ResponseWriter: w, start: start}
		method := knownMethod(r.Method)
		defer func() {
			answer.begin(http.StatusOK) // net/http answers 200 when a handler writes nothing
			route := "none"             // the pattern of a mux around this one names no method
			if _, path, ok := strings.Cut(r.Pattern, " "); ok {
				route = path
			}
			m.requests.WithLabelValues(method, route, strconv.Itoa(answer.status/100)+"xx").Inc()
			m.seconds.WithLabelValues(method, route).Observe(answer.after.Seconds())
		}()
		next.ServeHTTP(answer, r)
	})
}

// knownMethod returns a method of HTTP's standard as it is, and "other" for any other: a client may send any word as its method.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "other"
}

// measured is a ResponseWriter that keeps the status, and the time until the answer began.
type measured struct {
	http.ResponseWriter
	start  time.Time
	status int // 0 = has not begun
	after  time.Duration
}

func (m *measured) begin(status int) {
	if m.status == 0 {
		m.status, m.after = status, time.Since(m.start)
	}
}

// WriteHeader implements http.ResponseWriter.
func (m *measured) WriteHeader(status int) {
	if status >= 200 { // 1xx only announce an answer
		m.begin(status)
	}
	m.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (m *measured) Write(b []byte) (int, error) {
	m.begin(http.StatusOK)
	return m.ResponseWriter.Write(b)
}

// FlushError sends all bytes that were written so far, and the header in any case. A stream needs it.
func (m *measured) FlushError() error {
	m.begin(http.StatusOK)
	return http.NewResponseController(m.ResponseWriter).Flush()
}

// Unwrap returns the writer within, through which http.ResponseController sets deadlines and full duplex.
func (m *measured) Unwrap() http.ResponseWriter { return m.ResponseWriter }
