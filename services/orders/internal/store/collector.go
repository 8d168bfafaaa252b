package store

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout keeps a scrape short when the database is slow: the gauge is left out then.
const scrapeTimeout = time.Second

type heldCollector struct {
	store *Store
	desc  *prometheus.Desc
}

// Collector returns the gauge of messages kept aside, counted in the table at each scrape.
func (s *Store) Collector() prometheus.Collector {
	return &heldCollector{store: s, desc: prometheus.NewDesc("pasdetrois_orders_held",
		"Messages kept aside now because their order has not arrived.", nil, nil)}
}

func (c *heldCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

const countHeldSQL = `SELECT count(*) FROM held_messages`

func (c *heldCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var n int64
	if err := c.store.pool.QueryRow(ctx, countHeldSQL).Scan(&n); err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n))
}
