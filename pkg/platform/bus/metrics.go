package bus

import (
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/platform/fault"
)

// metrics are those of one consumer. Their names, labels and help texts are an interface to dashboards and alerts.
type metrics struct {
	handled  *prometheus.CounterVec   // by event and result
	seconds  *prometheus.HistogramVec // by event, retries included
	batch    *prometheus.HistogramVec // by event
	failures *prometheus.CounterVec   // by result
	failed   [3]prometheus.Counter    // of failures, by fault.Kind
	lag      *prometheus.GaugeVec     // by topic and partition
	next     *prometheus.GaugeVec     // by topic and partition
	held     *prometheus.GaugeVec     // by topic and partition
	missed   *prometheus.CounterVec   // by topic
	joins    *prometheus.CounterVec   // by topic
	removed  *prometheus.CounterVec   // by topic

	byEvent map[string]eventMetrics // of every event of the topics; "" is for all others. Never written after newMetrics.
}

// eventMetrics are resolved once, so a message needs no search by labels.
type eventMetrics struct {
	results [3]prometheus.Counter // by fault.Kind
	ok      prometheus.Counter
	seconds prometheus.Observer
}

// unknownEvent is the label of records that cannot be decoded, and of events that the contract does not have.
const unknownEvent = "unknown"

// of returns the metrics of an event.
func (m *metrics) of(event string) eventMetrics {
	if e, ok := m.byEvent[event]; ok {
		return e
	}
	return m.byEvent[""]
}

// resolve finds or makes the series of an event. All results exist from the start, at 0.
func (m *metrics) resolve(event string) eventMetrics {
	return eventMetrics{
		ok: m.handled.WithLabelValues(event, "ok"),
		results: [...]prometheus.Counter{
			fault.Transient: m.handled.WithLabelValues(event, "transient"),
			fault.Permanent: m.handled.WithLabelValues(event, "permanent"),
			fault.Cancelled: m.handled.WithLabelValues(event, "cancelled"),
		},
		seconds: m.seconds.WithLabelValues(event),
	}
}

// newMetrics makes the metrics of a consumer whose topics carry events, and registers them unless reg is nil.
func newMetrics(reg prometheus.Registerer, events []string) *metrics {
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
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pasdetrois_message_failures_total",
			Help: "Attempts at a message that failed, by result (transient: tried again, permanent: parked, cancelled).",
		}, []string{"result"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pasdetrois_consumer_lag",
			Help: "Offsets of the partition that can be read now and that the service's consumer group has not committed, up to the last of them that holds a record.",
		}, []string{"topic", "partition"}),
		next: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pasdetrois_consumer_next_offset",
			Help: "Offset of the partition that the service's consumer group will read next, as committed.",
		}, []string{"topic", "partition"}),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pasdetrois_consumer_held_records",
			Help: "Offsets of the partition that cannot be read because a producer has left a transaction open for 10 seconds or longer, else 0.",
		}, []string{"topic", "partition"}),
		missed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pasdetrois_consumer_missed_records_total",
			Help: "Offsets that were deleted from the topic before the service read them.",
		}, []string{"topic"}),
	}
	m.joins = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pasdetrois_consumer_joins_total",
		Help: "Times that this replica joined the consumer group of a topic: once at the start, and once for each rebalance.",
	}, []string{"topic"})
	m.removed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pasdetrois_dead_members_removed_total",
		Help: "Members of dead replicas that this replica removed from the consumer group of a topic.",
	}, []string{"topic"})
	m.failed = [...]prometheus.Counter{
		fault.Transient: m.failures.WithLabelValues("transient"),
		fault.Permanent: m.failures.WithLabelValues("permanent"),
		fault.Cancelled: m.failures.WithLabelValues("cancelled"),
	}
	m.byEvent = map[string]eventMetrics{"": m.resolve(unknownEvent)}
	for _, event := range events {
		m.byEvent[event] = m.resolve(event)
	}
	if reg != nil {
		reg.MustRegister(m.handled, m.seconds, m.batch, m.failures, m.lag, m.next, m.held, m.missed, m.joins, m.removed)
	}
	return m
}
