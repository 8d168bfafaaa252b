// Package payments is the payments service: it charges for orders, once each, and gives the money back when it is asked
// to. Run wires it; the rules are in internal/domain, what happens when in internal/app.
package payments

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/presence"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/httpapi"
	"pasdetrois/services/payments/internal/provider"
	"pasdetrois/services/payments/internal/store"
)

const (
	service = "payments"
	version = "1.0.0" // of the HTTP APIs
)

// Run runs the service until ctx ends, then lets what is in work finish. It waits for Kafka and Postgres, in whatever
// order they come.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	limits, err := domain.ParseFraudLimits(cfg.FraudLimits)
	if err != nil {
		return err
	}
	public, err := listen(cfg.HTTPListener, cfg.HTTPAddr)
	if err != nil {
		return err
	}
	defer public.Close()
	admin, err := listen(cfg.AdminListener, cfg.AdminAddr)
	if err != nil {
		return err
	}
	defer admin.Close()

	replica := presence.NewName()
	tracer, err := tracing.Start(cfg.Tracing, tracing.Process{Service: service, Version: version, Instance: replica}, log)
	if err != nil {
		return err
	}
	defer tracer.Close()

	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	pool, err := pgdb.Open(pgdb.Config{URL: cfg.DatabaseURL, Schema: service, AppName: service, Tracer: tracer.Postgres()})
	if err != nil {
		return err
	}
	defer pool.Close()
	waits := pgdb.NewWatch(pool, log)
	// The simulated provider is an external system: it writes its books on connections of its own.
	books, err := pgdb.Open(pgdb.Config{URL: cfg.DatabaseURL, Schema: service, AppName: service + "-provider"})
	if err != nil {
		return err
	}
	defer books.Close()
	producer, err := bus.NewProducer(cfg.Config, service, log)
	if err != nil {
		return err
	}
	producer.Trace(tracer)
	defer func() {
		if err := producer.Close(); err != nil {
			log.Warn("stopping", "err", err)
		}
	}()

	simulated := provider.NewSimulated(provider.Config{Books: books, Latency: cfg.ProviderLatency,
		ErrorRate: cfg.ProviderErrorRate, Random: rand.Float64})
	defer simulated.Close()
	payments := app.New(app.Config{
		Store:       store.New(pool),
		Provider:    provider.Measure(simulated, reg, tracer),
		FraudLimits: limits,
		AlertEmail:  cfg.FraudAlertEmail,
		Metrics:     app.NewMetrics(reg),
		Log:         log,
		Now:         time.Now,
	})
	letters := deadletter.NewBoundedStore(pool, cfg.Letters)
	reg.MustRegister(letters.Collector(), pgdb.Collector(pool), waits)
	messages, err := bus.NewConsumer(bus.ConsumerConfig{Config: cfg.Config, Service: service, Replica: replica,
		Table: payments.Table(), Publisher: producer, Parker: letters, Log: log, Metrics: reg, Tracer: tracer,
		DrainTimeout: cfg.DrainTimeout})
	if err != nil {
		return err
	}
	leases, err := pgdb.Open(pgdb.Config{URL: cfg.DatabaseURL, Schema: service, AppName: service, MaxConns: 1})
	if err != nil {
		return err
	}
	defer leases.Close()
	present := presence.New(presence.Config{DB: leases, Name: replica, Successor: messages, Log: log})
	replays := deadletter.NewWorker(letters, messages, log)

	requests := httpx.NewMetrics(reg)
	health := httpx.NewHealth(
		httpx.Check{Name: "postgres", Run: waits.Check, Requests: true},
		httpx.Check{Name: "kafka_producer", Run: producer.Check},
		httpx.Check{Name: "consumer", Run: messages.Check},
		httpx.Check{Name: "topics", Run: messages.Topics},
	)
	// The admin side is in the last stage: it tells who asks that the rest is draining.
	return run.Stages(ctx, log,
		[]run.Component{
			{Name: "drain", Run: func(ctx context.Context) error {
				<-ctx.Done()
				health.Drain()
				return nil
			}},
			{Name: "consumer", Run: afterMigration(pool, log, messages.Run)},
			{Name: "replays", Run: afterMigration(pool, log, replays.Run)},
			{Name: "http", Run: serve(requests, public, httpx.Public, health.Mount(tracer.HTTP(requests.Measure(publicAPI(payments, log))), nil), log)},
		},
		[]run.Component{
			{Name: "waits", Run: waits.Run},
			{Name: "presence", Run: afterMigration(leases, log, present.Run)},
			{Name: "admin", Run: serve(requests, admin, httpx.Admin, health.Mount(requests.Measure(adminAPI(messages, letters, replays)), reg), log)},
		},
	)
}

func publicAPI(payments *app.App, log *slog.Logger) http.Handler {
	api, handler := httpx.NewAPI("Pas de Trois: payments", version, "What became of the payment of an order.")
	httpapi.Register(api, payments, log)
	return handler
}

func adminAPI(messages *bus.Consumer, letters *deadletter.Store, replays *deadletter.Worker) http.Handler {
	api, handler := httpx.NewAPI("Pas de Trois: payments, admin", version, "What payments consumes, and messages that it could not handle.")
	bus.Register(api, messages)
	deadletter.Register(api, letters, replays)
	return handler
}

// afterMigration lets start begin once the database is there and migrated.
func afterMigration(pool *pgxpool.Pool, log *slog.Logger, start func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := pgdb.Wait(ctx, pool, log); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		return start(ctx)
	}
}

func serve(requests *httpx.Metrics, l net.Listener, role httpx.Role, handler http.Handler, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error { return requests.Serve(ctx, l, role, handler, nil, log) }
}

func listen(given net.Listener, addr string) (net.Listener, error) {
	if given != nil {
		return given, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}
