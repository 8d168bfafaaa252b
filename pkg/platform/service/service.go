package service

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"pasdetrois/pkg/platform/adminauth"
	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/presence"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/tracing"
)

// Identity says which service a Shell is of.
type Identity struct {
	Name      string // of the service, its schema and its consumer groups
	Version   string // of its HTTP APIs
	Publishes bool   // its handlers return messages, or it has an outbox
}

// Shell is everything around a service's own rules. Open makes one; Run runs it once.
type Shell struct {
	Log     *slog.Logger
	DB      *pgxpool.Pool // with the service's schema as search_path; it connects when it is used
	Metrics *prometheus.Registry
	Tracer  *tracing.Tracer // nil when no spans are made: its methods work all the same
	Letters *deadletter.Store
	Trusted *signing.Keys // nil when events that move money need no signature

	base          Base
	of            Identity
	replica       string
	public, admin net.Listener
	operators     *adminauth.Guard
	signer        *signing.Signer // nil when nothing is signed
	producer      *bus.Producer   // nil when the service publishes nothing
	outbox        *outbox.Relay   // nil when the service has none
	login         *auth.Login     // nil without logins
	waits         *pgdb.Watch
	closers       []func() // the latest first
}

// Open takes the addresses and prepares the rest. It waits for neither Kafka nor Postgres. It fails when an address is in use.
// Close the Shell when Run has returned.
func Open(base Base, of Identity, log *slog.Logger) (*Shell, error) {
	s := &Shell{Log: log, Metrics: prometheus.NewRegistry(), base: base, of: of, replica: presence.NewName()}
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Shell) open() (err error) {
	if s.public, err = s.listen(s.base.HTTPListener, s.base.HTTPAddr); err != nil {
		return err
	}
	if s.admin, err = s.listen(s.base.AdminListener, s.base.AdminAddr); err != nil {
		return err
	}
	if s.operators, err = adminauth.New(s.base.Access, s.Log); err != nil {
		return err
	}
	s.Tracer, err = tracing.Start(s.base.Tracing, tracing.Process{Service: s.of.Name, Version: s.of.Version, Instance: s.replica}, s.Log)
	if err != nil {
		return err
	}
	s.onClose(s.Tracer.Close)
	s.DB, err = pgdb.Open(pgdb.Config{URL: s.base.DatabaseURL, Schema: s.of.Name, AppName: s.of.Name, MaxConns: s.base.MaxConns,
		Tracer: s.Tracer.Postgres()})
	if err != nil {
		return err
	}
	s.onClose(s.DB.Close)
	if s.of.Publishes {
		if s.signer, err = s.base.Signing.Signer(s.of.Name); err != nil {
			return err
		}
		if s.producer, err = bus.NewProducer(bus.ProducerConfig{Config: s.base.Kafka, Service: s.of.Name, Log: s.Log, Tracer: s.Tracer,
			Signer: s.signer}); err != nil {
			return err
		}
		s.onClose(func() {
			if err := s.producer.Close(); err != nil {
				s.Log.Warn("stopping", "err", err)
			}
		})
	}
	s.login = auth.New(s.base.Auth, time.Now, s.Log)
	if s.Trusted, err = s.base.Signing.Keys(); err != nil {
		return err
	}
	s.waits = pgdb.NewWatch(s.DB, s.Log)
	s.Letters = deadletter.NewBoundedStore(s.DB, s.base.Letters)
	s.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		s.Letters.Collector(), pgdb.Collector(s.DB), s.waits)
	return nil
}

func (s *Shell) listen(given net.Listener, addr string) (net.Listener, error) {
	l := given
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", addr); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
	s.onClose(func() { _ = l.Close() })
	return l, nil
}

func (s *Shell) onClose(f func()) { s.closers = append(s.closers, f) }

// Close gives everything back that Open took, in the opposite order.
func (s *Shell) Close() {
	for _, f := range slices.Backward(s.closers) {
		f()
	}
}

// Outbox returns the relay that publishes the rows of the service's table outbox. Run runs it, and readiness has the check
// outbox. cfg needs its timing only, where the defaults do not fit. Call it once, before Run; the Identity must say Publishes.
func (s *Shell) Outbox(cfg outbox.Config) *outbox.Relay {
	cfg.Pool, cfg.Publisher, cfg.Log, cfg.Metrics, cfg.DrainTimeout = s.DB, s.producer, s.Log, s.Metrics, s.base.DrainTimeout
	s.outbox = outbox.NewRelay(cfg)
	return s.outbox
}

// Publisher returns the producer, nil when the Identity does not say Publishes. It is open until the Shell is closed.
func (s *Shell) Publisher() *bus.Producer { return s.producer }

// Exposed reports whether the public API serves more than the programs of this machine: callers log in, or the listener is not on
// loopback. One caller can then hurt others, so limits for each caller make sense.
func (s *Shell) Exposed() bool { return s.base.Auth.On() || !httpx.Loopback(s.public.Addr()) }

// API is one of a service's two HTTP APIs.
type API struct {
	About    string         // one sentence, the description in the OpenAPI document
	Register func(huma.API) // adds the routes; nil = none
}

// Parts are what one service has and others have not. Components begin when the schema is migrated.
type Parts struct {
	Handlers bus.Table // what it consumes
	Public   API
	Admin    API          // beside the routes of consumers and dead letters
	Early    *httpx.Early // refuses public requests before they cost anything; nil = none
	Checks   []httpx.Check
	Ending   []retention.Kind // rows that end, beside those that every service has
	// Users is what the service keeps about users; nil = nothing. Its schema then has the tables erasures and erased_letters.
	Users erasure.Data

	Loops      []run.Component // accept or decide work: stop with the consumer and the public API
	Effects    []run.Component // carry out what was decided: stop next
	Background []run.Component // serve the others until the end: stop with the admin API
}

// Run runs the service until ctx ends, then stops it stage by stage. It returns the first failure of a component.
func (s *Shell) Run(ctx context.Context, parts Parts) error {
	cfg := bus.ConsumerConfig{Config: s.base.Kafka, Service: s.of.Name, Replica: s.replica, Table: parts.Handlers,
		Parker: s.Letters, Trusted: s.Trusted, Signer: s.signer, Log: s.Log, Metrics: s.Metrics, Tracer: s.Tracer, DrainTimeout: s.base.DrainTimeout}
	if s.producer != nil {
		cfg.Publisher = s.producer
	}
	users, err := s.users(parts.Users)
	if err != nil {
		return err
	}
	users.into(&cfg)
	consumer, err := bus.NewConsumer(cfg)
	if err != nil {
		return err
	}
	leases, err := pgdb.Open(pgdb.Config{URL: s.base.DatabaseURL, Schema: s.of.Name, AppName: s.of.Name, MaxConns: 1})
	if err != nil {
		return err
	}
	defer leases.Close()
	present := presence.New(presence.Config{DB: leases, Name: s.replica, Successor: consumer, Log: s.Log})
	replays := deadletter.NewWorker(s.Letters, consumer, s.Log)

	audited := auditlog.New(s.DB)

	health := httpx.NewHealth(s.checks(consumer, append(users.checks(), parts.Checks...))...)
	requests := httpx.NewMetrics(s.Metrics)
	public := health.Mount(s.Tracer.HTTP(requests.Measure(s.login.Wrap(s.api("", s.guarded(parts.Public))))), nil)
	admin := s.operators.Wrap(health.Mount(requests.Measure(s.api(", admin", parts.Admin, func(api huma.API) {
		bus.Register(api, consumer, audited)
		deadletter.Register(api, s.Letters, replays)
		auditlog.Register(api, audited, s.Log)
		users.register(api)
		s.operators.Describe(api)
	})), s.Metrics))

	first := []run.Component{
		{Name: "drain", Run: func(ctx context.Context) error {
			<-ctx.Done()
			health.Drain()
			return nil
		}},
		{Name: "consumer", Run: s.migrated(s.DB, users.before(consumer.Run))},
		{Name: "replays", Run: s.migrated(s.DB, users.before(replays.Run))},
		{Name: "http", Run: func(ctx context.Context) error {
			return httpx.Server{Role: httpx.Public, Handler: public, Edge: s.base.Edge, Early: parts.Early, Metrics: requests, Log: s.Log}.Serve(ctx, s.public)
		}},
	}
	last := []run.Component{
		{Name: "waits", Run: s.waits.Run},
		{Name: "presence", Run: s.migrated(leases, present.Run)},
		{Name: "admin", Run: func(ctx context.Context) error {
			return httpx.Server{Role: httpx.Admin, Handler: admin, Edge: s.base.Edge, Metrics: requests, Log: s.Log}.Serve(ctx, s.operators.Listener(s.admin))
		}},
	}
	if s.login != nil {
		last = append(last, run.Component{Name: "login", Run: s.login.Run})
	}
	parts.Loops = append(parts.Loops, run.Component{Name: "retention", Run: s.retention(parts.Ending).Run})
	parts.Background = append(parts.Background, users.components()...)
	if s.outbox != nil {
		parts.Background = append(parts.Background, run.Component{Name: "outbox", Run: s.outbox.Run})
	}
	return run.Stages(ctx, s.Log, append(first, s.all(parts.Loops)...), s.all(parts.Effects), append(last, s.all(parts.Background)...))
}

// retention returns the sweeper of the service's own kinds of rows and of those that every service has.
func (s *Shell) retention(own []retention.Kind) *retention.Sweeper {
	return retention.New(retention.Config{Pool: s.DB, Replica: s.replica, Log: s.Log, Metrics: s.Metrics,
		Kinds: append(own, s.Letters.Kind(s.base.Retention.Letters), auditlog.Kind(s.base.Retention.AuditLog))})
}

func (s *Shell) checks(consumer *bus.Consumer, own []httpx.Check) []httpx.Check {
	checks := []httpx.Check{
		{Name: "postgres", Run: s.waits.Check, Requests: true},
		{Name: "consumer", Run: consumer.Check},
		{Name: "topics", Run: consumer.Topics},
		{Name: "sequences", Run: func(ctx context.Context) error { return pgdb.CheckSequences(ctx, s.DB) }},
	}
	if s.login != nil {
		checks = append(checks, httpx.Check{Name: "login", Run: s.login.Check, Requests: true})
	}
	if s.producer != nil {
		checks = append(checks, httpx.Check{Name: "kafka_producer", Run: s.producer.Check})
	}
	if s.outbox != nil {
		checks = append(checks, httpx.Check{Name: "outbox", Run: s.outbox.Check})
	}
	return append(checks, own...)
}

func (s *Shell) api(side string, own API, common ...func(huma.API)) http.Handler {
	api, handler := httpx.NewAPI("Pas de Trois: "+s.of.Name+side, s.of.Version, own.About)
	for _, register := range append([]func(huma.API){own.Register}, common...) {
		if register != nil {
			register(api)
		}
	}
	return handler
}

// guarded makes the operations of an API ask what the caller may do.
func (s *Shell) guarded(own API) API {
	register := own.Register
	own.Register = func(api huma.API) {
		auth.Enforce(api)
		if register != nil {
			register(api)
		}
		if s.login == nil {
			auth.Open(api)
		} else {
			auth.Describe(api)
		}
	}
	return own
}

// all makes components begin when the schema is migrated.
func (s *Shell) all(components []run.Component) []run.Component {
	begin := make([]run.Component, len(components))
	for i, c := range components {
		begin[i] = run.Component{Name: c.Name, Run: s.migrated(s.DB, c.Run)}
	}
	return begin
}

// migrated lets start begin once the database is there and migrated.
func (s *Shell) migrated(pool *pgxpool.Pool, start func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := pgdb.Wait(ctx, pool, s.Log); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		return start(ctx)
	}
}
