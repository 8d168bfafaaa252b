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
	unrecorded := prometheus.NewDesc("pasdetrois_notifications_unrecorded",
		"Emails that ended while Kafka was away, so that their event is still to be published.", nil, nil)
	return pgdb.Gauges(func(ctx context.Context, gauge pgdb.Gauge) {
		left, err := s.Backlog(ctx)
		if err != nil {
			log.Debug("reading the metrics of pending emails failed", "err", err)
			return
		}
		gauge(pending, float64(left.Pending))
		gauge(limited, float64(left.Limited))
		gauge(oldest, left.Oldest.Seconds())
		gauge(unrecorded, float64(left.Unrecorded))
	}, pending, limited, oldest, unrecorded)
}
