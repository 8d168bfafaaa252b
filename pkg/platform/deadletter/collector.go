package deadletter

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout keeps a scrape short when the database is slow. The gauges are then absent.
const scrapeTimeout = time.Second

type collector struct {
	store                             *Store
	parked, stored, bytes             *prometheus.Desc
	limitLetters, limitBytes, evicted *prometheus.Desc
}

// Collector returns the metrics of the dead letters. The gauges are counted in the table at each scrape.
func (s *Store) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("pasdetrois_dead_letters"+name, help, labels, nil)
	}
	return &collector{store: s,
		parked:       desc("", "Messages that are parked as dead letters now, by reason.", "reason"),
		stored:       desc("_stored", "Dead letters that the table holds, by whether an operator has handled them.", "handled"),
		bytes:        desc("_stored_bytes", "Bytes that the dead letters take, by whether an operator has handled them.", "handled"),
		limitLetters: desc("_limit", "Dead letters that the table holds at most."),
		limitBytes:   desc("_limit_bytes", "Bytes that the dead letters may take."),
		evicted:      desc("_evicted_total", "Handled dead letters that this process deleted to make room."),
	}
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.parked, c.stored, c.bytes, c.limitLetters, c.limitBytes, c.evicted} {
		ch <- d
	}
	c.store.count.Describe(ch)
}

const countSQL = `
SELECT reason, state IN ('replayed', 'discarded'), count(*), coalesce(sum(stored_bytes), 0)::bigint
FROM dead_letters GROUP BY 1, 2`

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(c.limitLetters, float64(c.store.room.bounds.Letters))
	gauge(c.limitBytes, float64(c.store.room.bounds.Bytes))
	ch <- prometheus.MustNewConstMetric(c.evicted, prometheus.CounterValue, float64(c.store.room.evicted.Load()))
	c.store.count.Collect(ch)

	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	rows, err := c.store.pool.Query(ctx, countSQL)
	if err != nil {
		return
	}
	var reason string
	var handled bool
	var n, bytes int64
	letters, size := map[bool]int64{}, map[bool]int64{}
	_, err = pgx.ForEachRow(rows, []any{&reason, &handled, &n, &bytes}, func() error {
		letters[handled] += n
		size[handled] += bytes
		if !handled {
			gauge(c.parked, float64(n), reason)
		}
		return nil
	})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.parked, err)
		return
	}
	for label, handled := range map[string]bool{"yes": true, "no": false} {
		gauge(c.stored, float64(letters[handled]), label)
		gauge(c.bytes, float64(size[handled]), label)
	}
}
