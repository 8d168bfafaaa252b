package outbox

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	pathMemory   = "memory"
	pathRecovery = "recovery"

	// scrapeTimeout keeps a scrape short when the database is slow. The gauges are then absent.
	scrapeTimeout = time.Second
	// maxCounted bounds the cost of counting: an outbox with more rows is in trouble in any case.
	maxCounted = 100_000
)

type metrics struct {
	fromMemory, recovered prometheus.Counter // published, by path
	spilled               prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, f *front) *metrics {
	published := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pasdetrois_outbox_published_total",
		Help: "Messages published from the outbox, by path: memory, right after the commit; recovery, from the table.",
	}, []string{"path"})
	m := &metrics{
		fromMemory: published.WithLabelValues(pathMemory),
		recovered:  published.WithLabelValues(pathRecovery),
		spilled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pasdetrois_outbox_spilled_total",
			Help: "Messages that were left to recovery because memory was full, or for the order of their key.",
		}),
	}
	if reg != nil {
		reg.MustRegister(published, m.spilled, &collector{front: f,
			pending: prometheus.NewDesc("pasdetrois_outbox_pending",
				"Messages in the outbox that are not known to be published, counted up to 100,000.", nil, nil),
			oldest: prometheus.NewDesc("pasdetrois_outbox_oldest_age_seconds",
				"Age of the oldest message in the outbox; 0 when it is empty.", nil, nil)})
	}
	return m
}

// collector counts the rows of the table at each scrape, so that all replicas show the same figures, also after a crash.
type collector struct {
	front           *front
	pending, oldest *prometheus.Desc
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.pending
	ch <- c.oldest
}

const pendingSQL = `SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
FROM (SELECT created_at FROM outbox WHERE id > $1 ORDER BY id LIMIT $2) AS counted`

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	from, _, err := c.front.advance(ctx)
	if err != nil {
		return
	}
	var n int64
	var age float64
	if err := c.front.pool.QueryRow(ctx, pendingSQL, from, maxCounted).Scan(&n, &age); err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(c.pending, prometheus.GaugeValue, float64(n))
	ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, max(0, age))
}
