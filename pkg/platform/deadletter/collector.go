package deadletter

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/platform/pgdb"
)

const countSQL = `
SELECT reason, state IN ('replayed', 'discarded'), count(*), coalesce(sum(stored_bytes), 0)::bigint
FROM dead_letters GROUP BY 1, 2`

// collectors are several collectors as one.
type collectors []prometheus.Collector

// Collector returns the metrics of the dead letters. The limits are there even when the database is away; the counts are absent
// then. An alert compares the stored letters that are not handled with the limit: at the limit, records wait in Kafka.
func (s *Store) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pasdetrois_dead_letters"+name, help, labels, nil)
	}
	parked := desc("", "Messages that are parked as dead letters now, by reason.", "reason")
	stored := desc("_stored", "Dead letters that the table holds, by whether an operator has handled them.", "handled")
	bytes := desc("_stored_bytes", "Bytes that the dead letters take, by whether an operator has handled them.", "handled")
	limit := desc("_limit", "Dead letters that the table holds at most.")
	limitBytes := desc("_limit_bytes", "Bytes that the dead letters may take.")
	return collectors{s.count, pgdb.Gauges(func(ctx context.Context, gauge pgdb.Gauge) {
		gauge(limit, float64(s.room.bounds.Letters))
		gauge(limitBytes, float64(s.room.bounds.Bytes))
		rows, err := s.pool.Query(ctx, countSQL)
		if err != nil {
			return
		}
		var reason string
		var handled bool
		var n, size int64
		letters, sizes, waiting := map[bool]int64{}, map[bool]int64{}, map[string]int64{}
		_, err = pgx.ForEachRow(rows, []any{&reason, &handled, &n, &size}, func() error {
			letters[handled] += n
			sizes[handled] += size
			if !handled {
				waiting[reason] += n
			}
			return nil
		})
		if err != nil {
			return
		}
		for reason, n := range waiting {
			gauge(parked, float64(n), reason)
		}
		for label, handled := range map[string]bool{"yes": true, "no": false} {
			gauge(stored, float64(letters[handled]), label)
			gauge(bytes, float64(sizes[handled]), label)
		}
	}, parked, stored, bytes, limit, limitBytes),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "pasdetrois_dead_letters_evicted_total",
			Help: "Handled dead letters that this process deleted to make room."}, func() float64 { return float64(s.room.evicted.Load()) })}
}

// Describe implements prometheus.Collector.
func (cs collectors) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range cs {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (cs collectors) Collect(ch chan<- prometheus.Metric) {
	for _, c := range cs {
		c.Collect(ch)
	}
}
