package retention

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are those of a Sweeper. Replicas that do not sweep show their start as the time of the last pass.
type metrics struct {
	removed  *prometheus.CounterVec // by kind
	finished *prometheus.GaugeVec   // by kind
}

func newMetrics(cfg Config) *metrics {
	auto, byKind := promauto.With(cfg.Metrics), []string{"kind"}
	m := &metrics{
		removed: auto.NewCounterVec(prometheus.CounterOpts{Name: "pasdetrois_retention_removed_total",
			Help: "Rows that this process removed or emptied because their time was over, by kind."}, byKind),
		finished: auto.NewGaugeVec(prometheus.GaugeOpts{Name: "pasdetrois_retention_finished_timestamp_seconds",
			Help: "When this process last finished a pass over a kind that is not kept for ever; at first, when it started."}, byKind),
	}
	keep := auto.NewGaugeVec(prometheus.GaugeOpts{Name: "pasdetrois_retention_keep_seconds",
		Help: "How long rows are kept, by kind; 0: for ever."}, byKind)
	for _, k := range cfg.Kinds {
		keep.WithLabelValues(k.Name).Set(k.Keep.Seconds())
		m.removed.WithLabelValues(k.Name)
		if k.Keep > 0 {
			m.finished.WithLabelValues(k.Name).Set(float64(cfg.Now().Unix()))
		}
	}
	if cfg.Pool != nil {
		cfg.Metrics.MustRegister(newTables(cfg.Pool, cfg.Kinds))
	}
	return m
}
