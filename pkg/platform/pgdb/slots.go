package pgdb

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// slotsTimeout keeps a scrape short when the database is slow. The gauges are then absent.
const slotsTimeout = time.Second

type slotCollector struct {
	pool *pgxpool.Pool

	lag, left, active, lost *prometheus.Desc
}

// SlotCollector returns the gauges of the logical replication slots of the pool's database, read at each scrape, so that
// all replicas show the same. Any role may read them. A slot keeps the server's log until its reader has confirmed it, or
// until the slot is lost. Without slots there are no series.
func SlotCollector(pool *pgxpool.Pool) prometheus.Collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("pasdetrois_postgres_replication_slot_"+name, help, []string{"slot"}, nil)
	}
	return &slotCollector{pool: pool,
		lag:    desc("lag_bytes", "Log of the server that the slot keeps because its reader has not confirmed it."),
		left:   desc("left_bytes", "Log that the server may still write before the slot is lost; absent without max_slot_wal_keep_size."),
		active: desc("active", "Whether a reader is connected to the slot now, 1 or 0."),
		lost:   desc("lost", "Whether the server has deleted log that the slot's reader has not confirmed, 1 or 0."),
	}
}

func (c *slotCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.lag, c.left, c.active, c.lost} {
		ch <- d
	}
}

// A lost slot has no restart_lsn any more: its reader has missed everything since what it confirmed last. A server that is a
// standby has no current position, and takes no orders either.
const slotsSQL = `SELECT slot_name::text, active, wal_status = 'lost',
  (pg_current_wal_lsn() - coalesce(restart_lsn, confirmed_flush_lsn))::float8, safe_wal_size::float8
FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database() AND NOT pg_is_in_recovery()`

func (c *slotCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), slotsTimeout)
	defer cancel()
	rows, err := c.pool.Query(ctx, slotsSQL)
	if err != nil {
		return
	}
	var slot string
	var active bool
	var lost *bool
	var lag, left *float64
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, slot)
	}
	_, _ = pgx.ForEachRow(rows, []any{&slot, &active, &lost, &lag, &left}, func() error {
		gauge(c.active, number(active))
		gauge(c.lost, number(lost != nil && *lost))
		if lag != nil {
			gauge(c.lag, *lag)
		}
		if left != nil {
			gauge(c.left, *left)
		}
		return nil
	})
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
