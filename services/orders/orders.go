// Package orders is the orders service: it takes orders over HTTP and from Kafka, reserves and sells their stock, and
// follows them until they are settled. Run wires it; the rules are in internal/domain, the use cases in internal/app.
package orders

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/ratelimit"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/httpapi"
	"pasdetrois/services/orders/internal/store"
)

// Run runs the service until ctx ends, then lets work that has begun finish. It waits for Kafka and Postgres, in any order.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	cfg.MaxConns = cmp.Or(cfg.MaxConns, maxConns)
	shell, err := service.Open(cfg.Base, service.Identity{Name: "orders", Version: "1.0.0", Publishes: true}, log)
	if err != nil {
		return err
	}
	defer shell.Close()
	relay := shell.Outbox(outbox.Config{Grace: cfg.OutboxGrace, Poll: cfg.OutboxPoll})
	kept := store.New(shell.DB, relay, shell.Letters)
	shell.Metrics.MustRegister(kept.Collector(cfg.PaymentTimeout), pgdb.SlotCollector(shell.DB))
	orders := app.New(app.Config{
		Store: kept, Metrics: app.NewMetrics(shell.Metrics), Log: log, Now: time.Now, NewID: newID, Tracer: shell.Tracer, Trusted: shell.Trusted,
		Policy:      domain.Policy{PaymentTimeout: cfg.PaymentTimeout, RepublishAfter: cfg.PendingRepublish},
		HeldTimeout: cfg.HeldTimeout, KeyTTL: cfg.IdempotencyKeyTTL, SettleWithin: cfg.SettleWithin,
	})
	api := httpapi.New(orders, log)
	if cfg.Auth.On() {
		api = api.WithLogins()
	}
	if shell.Exposed() {
		proxies, err := ratelimit.ParseProxies(cfg.TrustedProxies)
		if err != nil {
			return err
		}
		api = api.WithRates(httpapi.Rates{Orders: cfg.RateOrders, Streams: cfg.RateStreams, Waits: cfg.RateWaits},
			ratelimit.New(proxies, shell.Metrics, time.Now))
	}
	return shell.Run(ctx, service.Parts{
		Handlers: orders.Table(),
		Users:    kept,
		Public:   service.API{About: "Place orders and follow them.", Register: api.Register},
		Admin:    service.API{About: "The catalogue, messages to publish again, what orders consumes, and messages that it could not handle.", Register: api.RegisterAdmin},
		Early:    &httpx.Early{Method: http.MethodPost, Path: "/orders", Busy: orders.Busy},
		Loops: []run.Component{service.Sweepers(cmp.Or(cfg.SweepEvery, sweepEvery), log,
			service.Sweep{Name: "payment time-outs", Run: orders.ExpirePayments},
			service.Sweep{Name: "stuck orders", Run: orders.RepublishPending},
			service.Sweep{Name: "held messages", Run: orders.ParkHeld},
			service.Sweep{Name: "products without an event", Run: orders.AnnounceProducts},
			service.Sweep{Name: "idempotency keys", Run: orders.PruneKeys})},
		Ending: []retention.Kind{store.EndingOrders(cfg.RetentionOrders)},
		// Requests that wait for an order get their answer while the others drain.
		Background: []run.Component{{Name: "watch", Run: orders.Run}},
	})
}

// newID returns a UUIDv7: ids of orders placed one after the other stand side by side in the indexes.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
