package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	pathMemory   = "memory"
	pathRecovery = "recovery"

	// scrapeTimeout keeps a scrape short when the database is slow: the gauges are left out then.
	scrapeTimeout = time.Second
	// maxCounted bounds the cost of counting: an outbox with more rows than this is in trouble anyway.
	maxCounted = 100_000
)

type metrics struct {
	fromMemory, recovered prometheus.Counter // published, by path
	spilled               prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, pool *pgxpool.Pool) *metrics {
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
		reg.MustRegister(published, m.spilled, &collector{pool: pool,
			pending: prometheus.NewDesc("pasdetrois_outbox_pending",
				"Messages in the outbox that are not known to be published, counted up to 100,000.", nil, nil),
			oldest: prometheus.NewDesc("pasdetrois_outbox_oldest_age_seconds",
				"Age of the oldest message in the outbox; 0 when it is empty.", nil, nil)})
	}
	return m
}

// collector counts in the table at each scrape: every replica tells the same, and a crash does not make it forget.
type collector struct {
	pool            *pgxpool.Pool
	pending, oldest *prometheus.Desc
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.pending
	ch <- c.oldest
}

const pendingSQL = `SELECT
  (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS counted),
  coalesce((SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 FROM outbox ORDER BY id LIMIT 1), 0)`

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var n int64
	var age float64
	if err := c.pool.QueryRow(ctx, pendingSQL, maxCounted).Scan(&n, &age); err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(c.pending, prometheus.GaugeValue, float64(n))
	ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, max(0, age))
}
