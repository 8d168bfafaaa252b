package outbox

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"pasdetrois/pkg/platform/pgdb"
)

// maxCounted bounds the cost of counting: an outbox with more rows is in trouble in any case.
const maxCounted = 100_000

type metrics struct {
	fromMemory, recovered prometheus.Counter // published, by path
	spilled               prometheus.Counter
}

// newMetrics makes the metrics, and registers them unless reg is nil.
func newMetrics(reg prometheus.Registerer, f *front) *metrics {
	published := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: "pasdetrois_outbox_published_total",
		Help: "Messages published from the outbox, by path: memory, right after the commit; recovery, from the table."}, []string{"path"})
	if reg != nil {
		reg.MustRegister(gauges(f))
	}
	return &metrics{fromMemory: published.WithLabelValues("memory"), recovered: published.WithLabelValues("recovery"),
		spilled: promauto.With(reg).NewCounter(prometheus.CounterOpts{Name: "pasdetrois_outbox_spilled_total",
			Help: "Messages that were left to recovery because memory was full, or for the order of their key."})}
}

const pendingSQL = `SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
FROM (SELECT created_at FROM outbox WHERE id > $1 ORDER BY id LIMIT $2) AS counted`

func gauges(f *front) prometheus.Collector {
	pending := prometheus.NewDesc("pasdetrois_outbox_pending",
		"Messages in the outbox that are not known to be published, counted up to 100,000.", nil, nil)
	oldest := prometheus.NewDesc("pasdetrois_outbox_oldest_age_seconds",
		"Age of the oldest message in the outbox; 0 when it is empty.", nil, nil)
	return pgdb.Gauges(func(ctx context.Context, gauge pgdb.Gauge) {
		from, _, err := f.advance(ctx)
		if err != nil {
			return
		}
		var n int64
		var age float64
		if err := f.pool.QueryRow(ctx, pendingSQL, from, maxCounted).Scan(&n, &age); err != nil {
			return
		}
		gauge(pending, float64(n))
		gauge(oldest, max(0, age))
	}, pending, oldest)
}
