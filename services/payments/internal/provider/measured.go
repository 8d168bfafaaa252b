package provider

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	m := &Measured{next: next, tracer: tracer, seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "pasdetrois_payments_provider_call_seconds",
		Help:    "Time of one call to the payment provider, by call (charge, refund, lookup) and result (ok, declined, error).",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
	}, []string{"call", "result"})}
	reg.MustRegister(m.seconds)
	return m
}

func (m *Measured) observe(call string, start time.Time, declined bool, err error) {
	result := "ok"
	switch {
	case err != nil:
		result = "error"
	case declined:
		result = "declined"
	}
	m.seconds.WithLabelValues(call, result).Observe(time.Since(start).Seconds())
}

// Charge implements app.Provider.
func (m *Measured) Charge(ctx context.Context, c app.Charge) (domain.Answer, error) {
	start := time.Now()
	ctx, span := m.tracer.Begin(ctx, trace.SpanKindClient, "provider charge", "")
	answer, err := m.next.Charge(ctx, c)
	span.End(err)
	m.observe("charge", start, answer.Declined != "", err)
	return answer, err
}

// Refund implements app.Provider.
func (m *Measured) Refund(ctx context.Context, key string) error {
	start := time.Now()
	ctx, span := m.tracer.Begin(ctx, trace.SpanKindClient, "provider refund", "")
	err := m.next.Refund(ctx, key)
	span.End(err)
	m.observe("refund", start, false, err)
	return err
}

// Lookup implements app.Provider.
func (m *Measured) Lookup(ctx context.Context, key string) (bool, error) {
	start := time.Now()
	ctx, span := m.tracer.Begin(ctx, trace.SpanKindClient, "provider lookup", "")
	held, err := m.next.Lookup(ctx, key)
	span.End(err)
	m.observe("lookup", start, false, err)
	return held, err
}
