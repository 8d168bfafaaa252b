// Package payments is the payments service: it charges for orders, once each, and refunds them on request. Run wires it; the
// rules are in internal/domain, the use cases in internal/app.
package payments

import (
	"context"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/httpapi"
	"pasdetrois/services/payments/internal/provider"
	"pasdetrois/services/payments/internal/store"
)

const name = "payments"

// Run runs the service until ctx ends, then lets work that has begun finish. It waits for Kafka and Postgres, in any order.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	limits, err := domain.ParseFraudLimits(cfg.FraudLimits)
	if err != nil {
		return err
	}
	shell, err := service.Open(cfg.Base, service.Identity{Name: name, Version: "1.0.0", Publishes: true}, log)
	if err != nil {
		return err
	}
	defer shell.Close()
	charging, err := provider.Open(provider.Config{URL: cfg.ProviderURL, DatabaseURL: cfg.DatabaseURL,
		Latency: cfg.ProviderLatency, ErrorRate: cfg.ProviderErrorRate})
	if err != nil {
		return err
	}
	defer charging.Close()
	books, err := provider.BooksOf(cfg.ProviderURL)
	if err != nil {
		return err
	}
	kept := store.New(shell.DB)
	payments := app.New(app.Config{
		Store:       kept,
		Provider:    provider.Measure(charging, shell.Metrics, shell.Tracer),
		FraudLimits: limits,
		AlertEmail:  cfg.FraudAlertEmail,
		Metrics:     app.NewMetrics(shell.Metrics),
		Log:         log,
		Now:         time.Now,
	})
	return shell.Run(ctx, service.Parts{
		Handlers: payments.Table(),
		Users:    store.NewUsers(kept, books),
		Public: service.API{About: "What became of the payment of an order.",
			Register: func(api huma.API) { httpapi.Register(api, payments, log) }},
		Admin:  service.API{About: "What payments consumes, and messages that it could not handle."},
		Ending: append([]retention.Kind{store.EndingPayments(cfg.RetentionPayments)}, provider.Ending(cfg.RetentionLedger)...),
	})
}
