package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/domain"
)

const (
	// maxCounted bounds the rows that one scrape reads. A backlog that large needs no exact count.
	maxCounted = 100_000
	// sweepGrace is the time that an order may be over its deadline before it counts as overdue: sweeps come now and then.
	sweepGrace = time.Minute
)

const (
	countHeldSQL = `SELECT count(*) FROM held_messages WHERE NOT outside`
	// due_at is set while an order is open, and its index has no other orders.
	countOpenSQL = `SELECT status, count(*), count(*) FILTER (WHERE status_at < $1)
FROM (SELECT status, status_at FROM orders WHERE due_at IS NOT NULL LIMIT $2) AS open GROUP BY status`
)

// Collector returns the gauges of unsettled orders and of held messages. An order is overdue when it has had its status for
// longer than deadline and sweepGrace. Held messages from outside do not count: their orders may never come. When a read
// fails, all of these gauges are absent.
func (s *Store) Collector(deadline time.Duration) prometheus.Collector {
	held := prometheus.NewDesc("pasdetrois_orders_held",
		"Messages held now because their order has not arrived.", nil, nil)
	unsettled := prometheus.NewDesc("pasdetrois_orders_unsettled",
		"Orders that are not settled now, by status, counted up to 100,000 in all.", []string{"status"}, nil)
	overdue := prometheus.NewDesc("pasdetrois_orders_overdue",
		"Orders that have stood in their status for longer than PAYMENT_TIMEOUT and a minute, by status.", []string{"status"}, nil)
	return pgdb.Gauges(func(ctx context.Context, gauge pgdb.Gauge) {
		var waiting int64
		if err := s.pool.QueryRow(ctx, countHeldSQL).Scan(&waiting); err != nil {
			return
		}
		open, late, err := s.countOpen(ctx, deadline)
		if err != nil {
			return
		}
		gauge(held, float64(waiting))
		for _, status := range domain.Statuses() {
			if !status.Settled() {
				gauge(unsettled, float64(open[status]), string(status))
				gauge(overdue, float64(late[status]), string(status))
			}
		}
	}, held, unsettled, overdue)
}

// countOpen counts open orders by status, and those among them that are overdue. A status without orders is absent from the
// maps, so the caller shows 0 for it.
func (s *Store) countOpen(ctx context.Context, deadline time.Duration) (open, overdue map[domain.Status]int64, err error) {
	rows, err := s.pool.Query(ctx, countOpenSQL, time.Now().Add(-deadline-sweepGrace), maxCounted)
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
