package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pasdetrois/services/orders/internal/domain"
)

// Metrics counts status changes of orders. Each change counts once, after its commit. Repetitions do not count.
type Metrics struct {
	orders      *prometheus.CounterVec   // by status
	seconds     *prometheus.HistogramVec // by status
	republished *prometheus.CounterVec   // by status
	ofRemoved   prometheus.Counter
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	auto, byStatus := promauto.With(reg), []string{"status"}
	m := &Metrics{
		orders: auto.NewCounterVec(prometheus.CounterOpts{Name: "pasdetrois_orders_total",
			Help: "Orders that reached a status, by status."}, byStatus),
		seconds: auto.NewHistogramVec(prometheus.HistogramOpts{Name: "pasdetrois_orders_end_to_end_seconds",
			Help:    "Time from the receipt of an order until it was settled, by the status it was settled with.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 20)}, byStatus),
		republished: auto.NewCounterVec(prometheus.CounterOpts{Name: "pasdetrois_orders_republished_total",
			Help: "Messages published again because their order stayed in a status for too long, or on request, by status."}, byStatus),
		ofRemoved: auto.NewCounter(prometheus.CounterOpts{Name: "pasdetrois_orders_messages_of_removed_total",
			Help: "Messages acknowledged without an effect, because retention has removed their order."}),
	}
	for _, s := range domain.Statuses() {
		m.orders.WithLabelValues(string(s))
	}
	return m
}

func (m *Metrics) changed(o *domain.Order) {
	for _, c := range o.Changes {
		if c.From == c.To {
			continue
		}
		m.orders.WithLabelValues(string(c.To)).Inc()
		if c.To.Settled() {
			m.seconds.WithLabelValues(string(c.To)).Observe(max(0, c.At.Sub(o.CreatedAt).Seconds()))
		}
	}
}
