package provider

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/trace"

	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
)

// Measured is a provider whose calls are timed and traced.
type Measured struct {
	next    app.Provider
	tracer  *tracing.Tracer
	seconds *prometheus.HistogramVec // by call and result
}

// Measure wraps next.
func Measure(next app.Provider, reg prometheus.Registerer, tracer *tracing.Tracer) *Measured {
	return &Measured{next: next, tracer: tracer, seconds: promauto.With(reg).NewHistogramVec(prometheus.HistogramOpts{
		Name:    "pasdetrois_payments_provider_call_seconds",
		Help:    "Time of one call to the payment provider, by call (charge, refund, lookup) and result (ok, declined, error).",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
	}, []string{"call", "result"})}
}

// timed runs one call in a span of its own and measures it.
func (m *Measured) timed(ctx context.Context, call string, do func(ctx context.Context) (declined bool, err error)) error {
	start := time.Now()
	ctx, span := m.tracer.Begin(ctx, trace.SpanKindClient, "provider "+call, "")
	declined, err := do(ctx)
	span.End(err)
	result := "ok"
	switch {
	case err != nil:
		result = "error"
	case declined:
		result = "declined"
	}
	m.seconds.WithLabelValues(call, result).Observe(time.Since(start).Seconds())
	return err
}

// Charge implements app.Provider.
func (m *Measured) Charge(ctx context.Context, c app.Charge) (answer domain.Answer, err error) {
	err = m.timed(ctx, "charge", func(ctx context.Context) (bool, error) {
		answer, err = m.next.Charge(ctx, c)
		return answer.Declined != "", err
	})
	return answer, err
}

// Refund implements app.Provider.
func (m *Measured) Refund(ctx context.Context, key string) error {
	return m.timed(ctx, "refund", func(ctx context.Context) (bool, error) { return false, m.next.Refund(ctx, key) })
}

// Lookup implements app.Provider.
func (m *Measured) Lookup(ctx context.Context, key string) (held bool, err error) {
	err = m.timed(ctx, "lookup", func(ctx context.Context) (bool, error) {
		held, err = m.next.Lookup(ctx, key)
		return false, err
	})
	return held, err
}
