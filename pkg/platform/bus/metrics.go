package bus

import "github.com/prometheus/client_golang/prometheus"

// metrics of one consumer.
type metrics struct {
	handled  *prometheus.CounterVec   // by event and result
	seconds  *prometheus.HistogramVec // by event, retries included
	batch    *prometheus.HistogramVec // by event
	failures prometheus.Counter
	parked   *prometheus.CounterVec // by reason
	lag      *prometheus.GaugeVec   // by topic and partition
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pasdetrois_messages_handled_total",
			Help: "Messages handled, by event and result (ok, permanent, transient, cancelled).",
		}, []string{"event", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pasdetrois_message_handle_seconds",
			Help:    "Time to handle one message, from its delivery to the acknowledgement of what it published.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"event"}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pasdetrois_batch_messages",
			Help:    "Messages in one batch, which is one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}, []string{"event"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pasdetrois_message_failures_total",
			Help: "Attempts at a message that failed, whether tried again or not.",
		}),
		parked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pasdetrois_messages_parked_total",
			Help: "Messages parked as dead letters, by reason.",
		}, []string{"reason"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pasdetrois_consumer_lag",
			Help: "Records of the partition that the service's consumer group has not committed yet.",
		}, []string{"topic", "partition"}),
	}
	if reg != nil {
		reg.MustRegister(m.handled, m.seconds, m.batch, m.failures, m.parked, m.lag)
	}
	return m
}
