package pgdb

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout keeps a scrape short when the database is slow. A long backlog takes more than a second to count.
const scrapeTimeout = 2 * time.Second

// Gauge emits one value of a gauge.
type Gauge func(desc *prometheus.Desc, value float64, labels ...string)

// Gauges returns a collector of gauges that read reads from the database at each scrape. All replicas then show the same
// values, also after a crash. read emits nothing when it fails: the gauges are then absent, not 0.
func Gauges(read func(ctx context.Context, gauge Gauge), descs ...*prometheus.Desc) prometheus.Collector {
	return gauges{read, descs}
}

type gauges struct {
	read  func(ctx context.Context, gauge Gauge)
	descs []*prometheus.Desc
}

// Describe implements prometheus.Collector.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range g.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	g.read(ctx, func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	})
}
