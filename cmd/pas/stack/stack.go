package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/toolbox/client"
)

// Config configures Start. The zero value is a temporary stack on free ports.
type Config struct {
	// Log gets the log lines of the services and of the embedded servers; nil discards them.
	Log *slog.Logger
	// DataDir keeps the data of the embedded Postgres and broker across runs. "" means a temporary folder,
	// which Stop removes.
	DataDir string
	// Durable makes the embedded Postgres force each commit to disk. Tests leave it off, because it slows every
	// commit.
	Durable bool
	// DatabaseURL is a superuser's URL of a database that replaces the embedded Postgres. Start migrates it.
	DatabaseURL string
	// Pooler is the host:port at which the services and the auditor reach the database; "" means the server
	// itself. Migrations always go to the server: their locks need one session, which a pooler does not
	// promise.
	Pooler string
	// RolePrefix goes in front of the names of the database roles. Roles belong to the whole server, so stacks
	// on one Postgres need different prefixes.
	RolePrefix string
	// Brokers replace the embedded broker. Missing topics are created there; existing ones stay as they are.
	Brokers []string
	// Kafka holds the credentials and TLS settings for Brokers. Its own Brokers and prefixes are ignored. The
	// services do not get it: they read the same settings from Environ.
	Kafka kafka.Config
	// TopicPrefix and GroupPrefix isolate the stack on a shared Kafka.
	TopicPrefix, GroupPrefix string
	// ReplicationFactor applies to topics that are created; 0 means 1.
	ReplicationFactor int16
	// Ports are the fixed ports. A port that is 0 or missing becomes any free one.
	Ports Ports
	// Environ configures all three services under the names of their environment variables. Services overrides
	// it for one service. Listen addresses, DATABASE_URL, KAFKA_BROKERS and the prefixes are set by the stack,
	// which overrides both.
	Environ  map[string]string
	Services map[string]map[string]string
	// LocalUser lets the user of this process use the admin APIs without their token.
	LocalUser bool
	// Listening is called when the services' ports are open, before Postgres and the broker start. Its error
	// ends Start. A caller opens further ports here, so that a busy one also fails early. It may be nil.
	Listening func() error
	// OnEmail is called for each email line, one at a time and in order. It must not call Stack.Emails, which
	// waits for the same lock. It may be nil.
	OnEmail func(Email)
}

// Ports are TCP ports on 127.0.0.1; 0 means any free one.
type Ports struct {
	Kafka, Postgres int
	Public, Admin   map[string]int // by service
}

// Stack is a running choreography. Its methods may be called concurrently; only StartService must not run
// beside Stop.
type Stack struct {
	cfg      Config
	postgres *embedded.Postgres // nil when DatabaseURL was given
	broker   *embedded.Broker   // nil when Brokers were given
	adminURL string
	kafka    kafka.Config
	services map[string]*service
	emails   *mailbox
	client   *client.Client
	// adminToken is the last one of ADMIN_TOKEN_FILE; "" = none is set.
	adminToken string
	died       chan error // buffered: a service that dies must not wait for a reader
	stopOnce   sync.Once
	stopErr    error
}

// readyTime bounds how long each service may take from its start until it is ready.
const readyTime = 90 * time.Second

// Start starts everything and returns when all three services are ready. ctx bounds the start alone; only Stop
// ends a running stack. When Start fails, it stops all that it started. A busy port is a *PortBusyError. A
// setting in Environ or Services that a service rejects is a *SettingsError.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stack{cfg: cfg, emails: &mailbox{notify: cfg.OnEmail}, died: make(chan error, 64)}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// start starts the parts in order and leaves them running when it fails; Start then calls Stop. All services
// start before the first wait, so that they become ready at the same time.
func (s *Stack) start(ctx context.Context) error {
	services, err := listenAll(s)
	s.services = services
	if err != nil {
		return err
	}
	if s.cfg.Listening != nil {
		if err := s.cfg.Listening(); err != nil {
			return err
		}
	}
	endpoints := client.Endpoints{}
	for name, svc := range services {
		endpoints[name] = svc.endpoint()
	}
	s.client = client.New(endpoints)
	if err := s.operate(); err != nil {
		return err
	}
	if err := s.startBroker(); err != nil {
		return err
	}
	if err := s.startPostgres(ctx); err != nil {
		return err
	}
	for _, name := range messages.Services() {
		if err := s.services[name].start(); err != nil {
			return err
		}
	}
	for _, name := range messages.Services() {
		if err := s.awaitReady(ctx, s.services[name]); err != nil {
			return err
		}
	}
	return nil
}

// startPostgres starts the embedded server, unless Config.DatabaseURL names one, and migrates each service's
// schema.
func (s *Stack) startPostgres(ctx context.Context) error {
	s.adminURL = s.cfg.DatabaseURL
	if s.adminURL == "" {
		server, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: s.folder("postgres"),
			Port: s.cfg.Ports.Postgres, Durable: s.cfg.Durable, Log: s.cfg.Log})
		if err != nil {
			return fmt.Errorf("start Postgres: %w", err)
		}
		s.postgres = server
		s.adminURL = server.AdminURL("postgres")
	}
	var all []migrations.Roles
	for _, service := range messages.Services() {
		roles := migrations.Roles{Runtime: s.cfg.RolePrefix + service, Auditor: s.cfg.RolePrefix + migrations.Auditor}
		if s.postgres != nil {
			if err := setPasswords(ctx, s.postgres, roles); err != nil {
				return err
			}
		}
		if err := migrations.UpService(ctx, s.adminURL, service, roles); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		all = append(all, roles)
	}
	if _, err := migrations.CloseDatabase(ctx, s.adminURL, all...); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// setPasswords gives roles that log in their passwords. Other users of this machine can reach the server, too, and would
// guess a password that is the role's name.
func setPasswords(ctx context.Context, server *embedded.Postgres, roles migrations.Roles) error {
	for _, role := range []string{roles.Runtime, roles.Auditor} {
		if err := migrations.SetPassword(ctx, server.AdminURL("postgres"), role, server.Password(role)); err != nil {
			return err
		}
	}
	return nil
}

// startBroker starts the embedded broker, unless Config.Brokers names one, and creates missing topics. The
// services never create a topic.
func (s *Stack) startBroker() error {
	brokers := s.cfg.Brokers
	if len(brokers) == 0 {
		if err := free("Kafka", s.cfg.Ports.Kafka); err != nil {
			return err
		}
		broker, err := embedded.StartBroker(embedded.BrokerConfig{Port: s.cfg.Ports.Kafka, DataDir: s.folder("kafka"), Log: s.cfg.Log})
		if err != nil {
			return fmt.Errorf("start the broker: %w", err)
		}
		s.broker = broker
		brokers = broker.Addrs()
	}
	s.kafka = s.cfg.Kafka
	s.kafka.Brokers, s.kafka.TopicPrefix, s.kafka.GroupPrefix = brokers, s.cfg.TopicPrefix, s.cfg.GroupPrefix
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	if _, err := kafka.CreateTopics(ctx, s.kafka, Topics(max(s.cfg.ReplicationFactor, 1))); err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	return nil
}

// Topics returns the contract's four topics with their partitions and settings. `pas topics create` uses the
// same list, so that an embedded stack has the topics of a real one.
func Topics(replicationFactor int16) []kafka.TopicSpec {
	var specs []kafka.TopicSpec
	for _, t := range messages.Topics() {
		specs = append(specs, kafka.TopicSpec{Name: t.Name, Partitions: int32(t.Partitions), ReplicationFactor: replicationFactor,
			MaxBytes: kafka.MaxBatchBytes, Retention: kafka.Retention})
	}
	return specs
}

// Groups returns the ids of the services' consumer groups. A client that joins one of them takes records away
// from its service; commands and the proxy reject these ids.
func Groups(prefix string) []string {
	var ids []string
	for _, g := range messages.Groups() {
		ids = append(ids, prefix+g.String())
	}
	return ids
}

// folder returns the data folder of one embedded server; "" stands for a temporary one.
func (s *Stack) folder(name string) string {
	if s.cfg.DataDir == "" {
		return ""
	}
	return filepath.Join(s.cfg.DataDir, name)
}

// Stop ends the services, then the broker and the database, and returns all errors joined. A failed step does
// not keep the later ones from running. Each further call returns the result of the first, and waits for it.
func (s *Stack) Stop() error {
	s.stopOnce.Do(func() {
		var wg sync.WaitGroup
		errs := make([]error, 0, len(s.services)+1)
		var mu sync.Mutex
		for name, svc := range s.services {
			wg.Go(func() {
				if err := svc.close(); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, fmt.Errorf("stop %s: %w", name, err))
				}
			})
		}
		wg.Wait()
		if s.broker != nil {
			s.broker.Stop()
		}
		if s.postgres != nil {
			errs = append(errs, s.postgres.Stop())
		}
		if s.client != nil {
			s.client.Close()
		}
		s.stopErr = errors.Join(errs...)
	})
	return s.stopErr
}

// Client returns a client of the three services.
func (s *Stack) Client() *client.Client { return s.client }

// AdminToken returns the token of the admin APIs; "" when they ask for none.
func (s *Stack) AdminToken() string { return s.adminToken }

// Brokers returns Kafka's bootstrap addresses.
func (s *Stack) Brokers() []string { return s.kafka.Brokers }

// Kafka returns the configuration of the stack's own Kafka clients, with the prefixes of its topics and groups.
func (s *Stack) Kafka() kafka.Config { return s.kafka }

// AdminURL returns a superuser's URL of the database. It leads to the server itself, not through Config.Pooler.
func (s *Stack) AdminURL() string { return s.adminURL }

// Emails returns all email lines so far, oldest first.
func (s *Stack) Emails() []Email { return s.emails.all() }

// Died delivers the error of each service that ended without StopService or Stop. A *SettingsError arrives here
// too.
func (s *Stack) Died() <-chan error { return s.died }

// AuditorURL returns the auditor's URL of the database. That role may read the books of all services and write
// nothing.
func (s *Stack) AuditorURL() string { return s.databaseURL(migrations.Auditor) }

// ServiceURL returns the URL with which a service logs in to the database.
func (s *Stack) ServiceURL(service string) string { return s.databaseURL(service) }

// databaseURL returns the URL of a role, through the pooler where there is one. Roles of an embedded server have passwords of
// that server; else the migrations make them, with their names.
func (s *Stack) databaseURL(role string) string {
	role = s.cfg.RolePrefix + role
	as := pgdb.As(s.adminURL, role)
	if s.postgres != nil {
		as = pgdb.WithLogin(s.adminURL, role, s.postgres.Password(role))
	}
	if u, err := url.Parse(as); err == nil && s.cfg.Pooler != "" {
		u.Host = s.cfg.Pooler
		return u.String()
	}
	return as
}
