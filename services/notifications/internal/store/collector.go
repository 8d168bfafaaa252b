package store

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/platform/pgdb"
)

// Collector returns the gauges of emails that are not sent yet. When the read fails, the gauges are absent from the scrape: a 0
// would say that nothing waits.
func (s *Store) Collector(log *slog.Logger) prometheus.Collector {
	pending := prometheus.NewDesc("pasdetrois_notifications_pending", "Notifications whose email is not sent yet.", nil, nil)
	limited := prometheus.NewDesc("pasdetrois_notifications_limited",
		"Emails that wait because their address had its share for an hour.", nil, nil)
	oldest := prometheus.NewDesc("pasdetrois_notifications_oldest_pending_seconds",
		"For how long the oldest notification that is not sent yet has waited.", nil, nil)
	return pgdb.Gauges(func(ctx context.Context, gauge pgdb.Gauge) {
		unsent, waiting, age, err := s.Backlog(ctx)
		if err != nil {
			log.Debug("reading the metrics of pending emails failed", "err", err)
			return
		}
		gauge(pending, float64(unsent))
		gauge(limited, float64(waiting))
		gauge(oldest, age.Seconds())
	}, pending, limited, oldest)
}
