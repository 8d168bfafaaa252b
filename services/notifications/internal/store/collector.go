package store

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout keeps a scrape short when the database hangs.
const scrapeTimeout = 2 * time.Second

// collector reads the backlog from the table at each scrape, so that all replicas show the same.
type collector struct {
	store                    *Store
	log                      *slog.Logger
	pending, limited, oldest *prometheus.Desc
}

// Collector returns the gauges of what is not sent yet. While the database is down they are absent, not 0.
func (s *Store) Collector(log *slog.Logger) prometheus.Collector {
	return &collector{store: s, log: log,
		pending: prometheus.NewDesc("pasdetrois_notifications_pending", "Notifications whose email is not sent yet.", nil, nil),
		limited: prometheus.NewDesc("pasdetrois_notifications_limited",
			"Emails that wait because their address had its share for an hour.", nil, nil),
		oldest: prometheus.NewDesc("pasdetrois_notifications_oldest_pending_seconds",
			"For how long the oldest notification that is not sent yet has waited.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.pending
	ch <- c.limited
	ch <- c.oldest
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	pending, limited, oldest, err := c.store.Backlog(ctx)
	if err != nil {
		c.log.Debug("reading the metrics of pending emails failed", "err", err)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.pending, prometheus.GaugeValue, float64(pending))
	ch <- prometheus.MustNewConstMetric(c.limited, prometheus.GaugeValue, float64(limited))
	ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, oldest.Seconds())
}
