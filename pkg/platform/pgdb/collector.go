package pgdb

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Collector returns the metrics of a pool. They are the pool's own counts: a scrape does not use the database.
func Collector(pool *pgxpool.Pool) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pasdetrois_postgres_pool_"+name, help, labels, nil)
	}
	return &poolCollector{pool: pool,
		connections: desc("connections", "Connections of the pool, by state (in_use, idle, connecting).", "state"),
		limit:       desc("max_connections", "Connections that the pool may have."),
		acquired:    desc("acquires_total", "Connections handed out."),
		waited:      desc("waited_acquires_total", "Connections that were waited for because none was idle."),
		cancelled:   desc("cancelled_acquires_total", "Requests for a connection that ended before one was free."),
		waitSeconds: desc("wait_seconds_total", "Time spent waiting for a connection because none was idle."),
	}
}

type poolCollector struct {
	pool *pgxpool.Pool

	connections, limit, acquired, waited, cancelled, waitSeconds *prometheus.Desc
}

func (c *poolCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c *poolCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.pool.Stat()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
	gauge(c.connections, float64(s.AcquiredConns()), "in_use")
	gauge(c.connections, float64(s.IdleConns()), "idle")
	gauge(c.connections, float64(s.ConstructingConns()), "connecting")
	gauge(c.limit, float64(s.MaxConns()))
	counter(c.acquired, float64(s.AcquireCount()))
	counter(c.waited, float64(s.EmptyAcquireCount()))
	counter(c.cancelled, float64(s.CanceledAcquireCount()))
	counter(c.waitSeconds, s.EmptyAcquireWaitTime().Seconds())
}
