package pgdb

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// A lost slot has no restart_lsn any more: its reader has missed all changes since its last confirmation. A server that is a
// standby has no current position, and takes no orders either.
const slotsSQL = `SELECT slot_name::text, active, wal_status = 'lost',
  (pg_current_wal_lsn() - coalesce(restart_lsn, confirmed_flush_lsn))::float8, safe_wal_size::float8
FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database() AND NOT pg_is_in_recovery()`

// SlotCollector returns the gauges of the logical replication slots of the pool's database. Any role may read them. A slot
// keeps the server's log until its reader has confirmed it, or until the slot is lost. Without slots there are no series.
func SlotCollector(pool *pgxpool.Pool) prometheus.Collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("pasdetrois_postgres_replication_slot_"+name, help, []string{"slot"}, nil)
	}
	kept := desc("lag_bytes", "Log of the server that the slot keeps because its reader has not confirmed it.")
	room := desc("left_bytes", "Log that the server may still write before the slot is lost; absent without max_slot_wal_keep_size.")
	reading := desc("active", "Whether a reader is connected to the slot now, 1 or 0.")
	gone := desc("lost", "Whether the server has deleted log that the slot's reader has not confirmed, 1 or 0.")
	return Gauges(func(ctx context.Context, gauge Gauge) {
		rows, err := pool.Query(ctx, slotsSQL)
		if err != nil {
			return
		}
		var slot string
		var active bool
		var lost *bool
		var lag, left *float64
		_, _ = pgx.ForEachRow(rows, []any{&slot, &active, &lost, &lag, &left}, func() error {
			gauge(reading, number(active), slot)
			gauge(gone, number(lost != nil && *lost), slot)
			if lag != nil {
				gauge(kept, *lag, slot)
			}
			if left != nil {
				gauge(room, *left, slot)
			}
			return nil
		})
	}, kept, room, reading, gone)
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
