package deadletter

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout keeps a scrape short when the database is slow: the gauge is left out then.
const scrapeTimeout = time.Second

type collector struct {
	store *Store
	desc  *prometheus.Desc
}

// Collector returns the gauge of parked messages by reason, counted in the table at each scrape.
func (s *Store) Collector() prometheus.Collector {
	return &collector{store: s, desc: prometheus.NewDesc("pasdetrois_dead_letters",
		"Messages that are parked as dead letters now, by reason.", []string{"reason"}, nil)}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

const countSQL = `SELECT reason, count(*) FROM dead_letters WHERE state IN ('parked', 'replaying') GROUP BY reason`

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	rows, err := c.store.pool.Query(ctx, countSQL)
	if err != nil {
		return
	}
	var reason string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&reason, &n}, func() error {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), reason)
		return nil
	})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.desc, err)
	}
}
