// Package notifications is the notifications service: it tells people, by email, what became of their orders, once each.
// Run wires it; the rules are in internal/domain, what happens when in internal/app.
package notifications

import (
	"context"
	"fmt"
	"log/slog"
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
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/email"
	"pasdetrois/services/notifications/internal/httpapi"
	"pasdetrois/services/notifications/internal/store"
)

const (
	service = "notifications"
	version = "1.0.0" // of the HTTP APIs
)

// Run runs the service until ctx ends, then lets what is in work finish. It waits for Kafka and Postgres, in whatever
// order they come. Emails that are not begun when ctx ends are sent by the next start.
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
	sender, err := newSender(cfg, log)
	if err != nil {
		return err
	}

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
	kept := store.New(pool)
	reg.MustRegister(kept.Collector(log))

	metrics := app.NewMetrics(reg)
	emails := app.NewDispatcher(app.DispatcherConfig{Store: kept, Sender: sender, Limit: newLimit(cfg, pool), Metrics: metrics, Log: log, Tracer: tracer,
		Concurrency: cfg.EmailConcurrency, SendTimeout: cfg.EmailTimeout,
		Retries:      domain.Retries{Backoff: domain.Backoff{First: time.Second, Max: cfg.EmailRetryMax}, For: cfg.EmailRetryFor},
		DrainTimeout: cfg.DrainTimeout})
	notifications := app.New(kept, emails, metrics, log)

	letters := deadletter.NewBoundedStore(pool, cfg.Letters)
	reg.MustRegister(letters.Collector(), pgdb.Collector(pool), waits)
	// There is no publisher: what comes out of this service is email.
	messages, err := bus.NewConsumer(bus.ConsumerConfig{Config: cfg.Config, Service: service, Replica: replica,
		Table: notifications.Table(), Parker: letters, Log: log, Metrics: reg, Tracer: tracer,
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
		httpx.Check{Name: "consumer", Run: messages.Check},
		httpx.Check{Name: "topics", Run: messages.Topics},
	)
	// Emails stop after all that can ask for them. The admin side comes last: it tells who asks that the rest is draining.
	return run.Stages(ctx, log,
		[]run.Component{
			{Name: "drain", Run: func(ctx context.Context) error {
				<-ctx.Done()
				health.Drain()
				return nil
			}},
			{Name: "consumer", Run: afterMigration(pool, log, messages.Run)},
			{Name: "replays", Run: afterMigration(pool, log, replays.Run)},
			{Name: "http", Run: serve(requests, public, httpx.Public, health.Mount(tracer.HTTP(requests.Measure(publicAPI(notifications, log))), nil), log)},
		},
		[]run.Component{
			{Name: "emails", Run: afterMigration(pool, log, emails.Run)},
		},
		[]run.Component{
			{Name: "waits", Run: waits.Run},
			{Name: "presence", Run: afterMigration(leases, log, present.Run)},
			{Name: "admin", Run: serve(requests, admin, httpx.Admin, health.Mount(requests.Measure(adminAPI(notifications, messages, letters, replays, log)), reg), log)},
		},
	)
}

// newLimit returns what bounds the emails to one address, nil when nothing does. Lines of the log reach nobody's inbox.
func newLimit(cfg Config, pool *pgxpool.Pool) app.Limit {
	if cfg.SMTPURL == "" || cfg.EmailPerHour == 0 {
		return nil
	}
	return store.NewLimit(pool, cfg.EmailPerHour, email.Mailbox)
}

// newSender returns the mail server's sender when there is one, else the log's.
func newSender(cfg Config, log *slog.Logger) (app.Sender, error) {
	if cfg.SMTPURL != "" {
		sender, err := email.NewSMTP(email.SMTPConfig{URL: cfg.SMTPURL, From: cfg.EmailFrom})
		if err != nil {
			return nil, fmt.Errorf("SMTP_URL: %w", err)
		}
		return sender, nil
	}
	if cfg.EmailLog != nil {
		var err error
		if log, err = run.Logger(cfg.EmailLog, service, "info", "json"); err != nil {
			return nil, err
		}
	}
	return email.NewLog(log), nil
}

func publicAPI(notifications *app.App, log *slog.Logger) http.Handler {
	api, handler := httpx.NewAPI("Pas de Trois: notifications", version, "What was sent to whom, and when.")
	httpapi.Register(api, notifications, log)
	return handler
}

func adminAPI(notifications *app.App, messages *bus.Consumer, letters *deadletter.Store, replays *deadletter.Worker, log *slog.Logger) http.Handler {
	api, handler := httpx.NewAPI("Pas de Trois: notifications, admin", version, "What notifications consumes, messages that it could not handle, and emails that failed.")
	httpapi.RegisterAdmin(api, notifications, log)
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
