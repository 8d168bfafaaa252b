package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/services/orders/internal/domain"
)

const (
	// scrapeTimeout keeps a scrape short when the database is slow. The gauges are then absent.
	scrapeTimeout = time.Second
	// maxCounted bounds the cost of counting.
	maxCounted = 100_000
	// sweepGrace is how long an order may be over its deadline before it counts as overdue: sweeps come now and then.
	sweepGrace = time.Minute
)

type collector struct {
	store    *Store
	deadline time.Duration

	held, unsettled, overdue *prometheus.Desc
}

// Collector returns the gauges of unsettled orders and of held messages. They are counted in the tables at each scrape, so that
// all replicas show the same. An order is overdue when it has had its status for longer than deadline.
func (s *Store) Collector(deadline time.Duration) prometheus.Collector {
	return &collector{store: s, deadline: deadline,
		held: prometheus.NewDesc("pasdetrois_orders_held",
			"Messages kept aside now because their order has not arrived.", nil, nil),
		unsettled: prometheus.NewDesc("pasdetrois_orders_unsettled",
			"Orders that are not settled now, by status, counted up to 100,000 in all.", []string{"status"}, nil),
		overdue: prometheus.NewDesc("pasdetrois_orders_overdue",
			"Orders that have stood in their status for longer than PAYMENT_TIMEOUT and a minute, by status.", []string{"status"}, nil)}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.held
	ch <- c.unsettled
	ch <- c.overdue
}

const (
	countHeldSQL = `SELECT count(*) FROM held_messages WHERE NOT outside`
	// due_at is set while an order is open, and its index has no other orders.
	countOpenSQL = `SELECT status, count(*), count(*) FILTER (WHERE status_at < $1)
FROM (SELECT status, status_at FROM orders WHERE due_at IS NOT NULL LIMIT $2) AS open GROUP BY status`
)

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	var held int64
	if err := c.store.pool.QueryRow(ctx, countHeldSQL).Scan(&held); err != nil {
		return
	}
	open, overdue, err := c.countOpen(ctx)
	if err != nil {
		return
	}
	gauge(c.held, held)
	for _, status := range domain.Statuses() {
		if !status.Settled() {
			gauge(c.unsettled, open[status], string(status))
			gauge(c.overdue, overdue[status], string(status))
		}
	}
}

func (c *collector) countOpen(ctx context.Context) (open, overdue map[domain.Status]int64, err error) {
	rows, err := c.store.pool.Query(ctx, countOpenSQL, time.Now().Add(-c.deadline-sweepGrace), maxCounted)
	if err != nil {
		return nil, nil, err
	}
	open, overdue = make(map[domain.Status]int64), make(map[domain.Status]int64)
	var status domain.Status
	var n, late int64
	_, err = pgx.ForEachRow(rows, []any{&status, &n, &late}, func() error {
		open[status], overdue[status] = n, late
		return nil
	})
	return open, overdue, err
}
