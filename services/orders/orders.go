// Package orders is the orders service: it takes orders over HTTP and from Kafka, reserves and sells their stock, and
// follows them until they are settled. Run wires it; the rules are in internal/domain, what happens when in internal/app.
package orders

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/presence"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/store"
)

const (
	service = "orders"
	version = "1.0.0" // of the HTTP APIs
)

// Run runs the service until ctx ends, then lets what is in work finish. It waits for Kafka and Postgres, in whatever
// order they come.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
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

	pool, err := pgdb.Open(pgdb.Config{URL: cfg.DatabaseURL, Schema: service, AppName: service, MaxConns: cfg.MaxConns,
		Tracer: tracer.Postgres()})
	if err != nil {
		return err
	}
	defer pool.Close()
	waits := pgdb.NewWatch(pool, log)
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

	relay := outbox.NewRelay(outbox.Config{Pool: pool, Publisher: producer, Log: log, Metrics: reg,
		Grace: cfg.OutboxGrace, Poll: cfg.OutboxPoll, DrainTimeout: cfg.DrainTimeout})
	letters := deadletter.NewBoundedStore(pool, cfg.Letters)
	kept := store.New(pool, relay, letters)
	orders := app.New(app.Config{
		Store: kept, Metrics: app.NewMetrics(reg), Log: log, Now: time.Now, NewID: newID, Tracer: tracer,
		Policy:      domain.Policy{PaymentTimeout: cfg.PaymentTimeout, RepublishAfter: cfg.PendingRepublish},
		HeldTimeout: cfg.HeldTimeout, KeyTTL: cfg.IdempotencyKeyTTL, SettleWithin: cfg.SettleWithin,
	})
	reg.MustRegister(kept.Collector(cfg.PaymentTimeout), letters.Collector(), pgdb.Collector(pool), pgdb.SlotCollector(pool), waits)
	messages, err := bus.NewConsumer(bus.ConsumerConfig{Config: cfg.Config, Service: service, Replica: replica,
		Table: orders.Table(), Publisher: producer, Parker: letters, Log: log, Metrics: reg, Tracer: tracer,
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
		httpx.Check{Name: "outbox", Run: relay.Check},
	)
	early := &httpx.Early{Method: http.MethodPost, Path: "/orders", Busy: orders.Busy}
	publicSide := tracer.HTTP(requests.Measure(publicAPI(orders, log)))
	// First everything stops that takes orders or decides on them, then what publishes the decisions. Those who wait for
	// an order get their answer meanwhile, and the admin side tells who asks that the rest is draining.
	return run.Stages(ctx, log,
		[]run.Component{
			{Name: "drain", Run: func(ctx context.Context) error {
				<-ctx.Done()
				health.Drain()
				return nil
			}},
			{Name: "consumer", Run: afterMigration(pool, log, messages.Run)},
			{Name: "replays", Run: afterMigration(pool, log, replays.Run)},
			{Name: "sweepers", Run: afterMigration(pool, log, sweepers(orders, cfg.SweepInterval, log))},
			{Name: "http", Run: serve(requests, public, httpx.Public, health.Mount(publicSide, nil), early, log)},
		},
		[]run.Component{
			{Name: "outbox", Run: afterMigration(pool, log, relay.Run)},
			{Name: "watch", Run: orders.Run},
			{Name: "waits", Run: waits.Run},
			{Name: "presence", Run: afterMigration(leases, log, present.Run)},
			{Name: "admin", Run: serve(requests, admin, httpx.Admin, health.Mount(requests.Measure(adminAPI(orders, messages, letters, replays, log)), reg), nil, log)},
		},
	)
}

// newID returns a UUIDv7: ids of orders placed one after the other stand side by side in the indexes.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

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

func serve(requests *httpx.Metrics, l net.Listener, role httpx.Role, handler http.Handler, early *httpx.Early, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error { return requests.Serve(ctx, l, role, handler, early, log) }
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
