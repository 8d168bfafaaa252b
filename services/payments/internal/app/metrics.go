package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pasdetrois/services/payments/internal/domain"
)

// Metrics counts decisions. Each payment counts once, when it is stored. Repetitions do not count.
type Metrics struct {
	payments *prometheus.CounterVec // by outcome and reason
	refunds  *prometheus.CounterVec // by outcome
	strays   prometheus.Counter
	seconds  *prometheus.HistogramVec // by outcome
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	auto := promauto.With(reg)
	return &Metrics{
		payments: auto.NewCounterVec(prometheus.CounterOpts{Name: "pasdetrois_payments_total",
			Help: "Payments decided, by outcome (captured, failed) and the reason of a failure."}, []string{"outcome", "reason"}),
		refunds: auto.NewCounterVec(prometheus.CounterOpts{Name: "pasdetrois_payments_refunds_total",
			Help: "Refunds decided, by outcome (refunded: money given back; voided: nothing was captured yet)."}, []string{"outcome"}),
		strays: auto.NewCounter(prometheus.CounterOpts{Name: "pasdetrois_payments_stray_charges_refunded_total",
			Help: "Charges that slipped through a race or a crash and were given back."}),
		seconds: auto.NewHistogramVec(prometheus.HistogramOpts{Name: "pasdetrois_payments_decision_seconds",
			Help:    "Time from the making of payment_requested to the decision being kept, by outcome.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 18)}, []string{"outcome"}),
	}
}

func (m *Metrics) settled(p domain.Payment, asked, now time.Time) {
	m.payments.WithLabelValues(string(p.Status), p.Reason).Inc()
	if !asked.IsZero() {
		m.seconds.WithLabelValues(string(p.Status)).Observe(max(0, now.Sub(asked).Seconds()))
	}
}

func (m *Metrics) refunded(p domain.Payment) {
	m.refunds.WithLabelValues(string(p.Status)).Inc()
}
