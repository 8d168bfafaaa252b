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

// Config configures Start. The zero value is a throw-away stack on free ports.
type Config struct {
	// Log gets the services' log lines. nil = nowhere.
	Log *slog.Logger
	// DataDir keeps Postgres's and the broker's data. "" = temporary, removed by Stop.
	DataDir string
	// Durable makes the embedded Postgres force each commit to disk.
	Durable bool
	// DatabaseURL is a superuser's URL to a database to use instead of an embedded Postgres. It is migrated.
	DatabaseURL string
	// Pooler is the host:port at which the services and the auditor find the database; "" = where it is. Migrations need the
	// server itself.
	Pooler string
	// RolePrefix goes in front of the names of the database roles: stacks on one Postgres server need roles of their own.
	RolePrefix string
	// Brokers are used instead of an embedded broker. Missing topics are created there.
	Brokers []string
	// Kafka says how to be let in there; its own Brokers and prefixes are not used. The services read it from Environ.
	Kafka kafka.Config
	// TopicPrefix and GroupPrefix isolate the stack on a shared Kafka.
	TopicPrefix, GroupPrefix string
	// ReplicationFactor of topics that are created; 0 = 1.
	ReplicationFactor int16
	// Ports are fixed ports; what is 0 or missing gets any free one.
	Ports Ports
	// Environ is configuration for all three services, as they read it from the environment; Services overrides it for
	// one service. Where the services are and what they connect to is set by the stack.
	Environ  map[string]string
	Services map[string]map[string]string
	// Listening is called when the services' ports are open, before anything heavy starts. Its error ends Start. It may be nil.
	Listening func() error
	// OnEmail is called for each email line, one at a time.
	OnEmail func(Email)
}

// Ports are TCP ports on 127.0.0.1; 0 = any free one.
type Ports struct {
	Kafka, Postgres int
	Public, Admin   map[string]int // by service
}

// Stack is a running choreography.
type Stack struct {
	cfg      Config
	postgres *embedded.Postgres // nil when DatabaseURL was given
	broker   *embedded.Broker   // nil when Brokers were given
	adminURL string
	kafka    kafka.Config
	services map[string]*service
	emails   *mailbox
	client   *client.Client
	died     chan error
	stopOnce sync.Once
	stopErr  error
}

// readyTime bounds how long the services may take to be ready after their start.
const readyTime = 30 * time.Second

// Start starts everything and returns when all three services are ready. When it fails, nothing is left running.
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
	for _, service := range messages.Services() {
		roles := migrations.Roles{Owner: s.cfg.RolePrefix + service, Auditor: s.cfg.RolePrefix + migrations.Auditor}
		if err := migrations.UpService(ctx, s.adminURL, service, roles); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return nil
}

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
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := kafka.CreateTopics(ctx, s.kafka, Topics(max(s.cfg.ReplicationFactor, 1))); err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	return nil
}

// Topics returns the contract's four topics with their partitions and settings.
func Topics(replicationFactor int16) []kafka.TopicSpec {
	var specs []kafka.TopicSpec
	for _, t := range messages.Topics() {
		specs = append(specs, kafka.TopicSpec{Name: t.Name, Partitions: int32(t.Partitions), ReplicationFactor: replicationFactor,
			MaxBytes: kafka.MaxBatchBytes, Retention: kafka.Retention})
	}
	return specs
}

// Groups returns the ids of the services' consumer groups. A client that joins one takes records away from its service.
func Groups(prefix string) []string {
	var ids []string
	for _, g := range messages.Groups() {
		ids = append(ids, prefix+g.String())
	}
	return ids
}

func (s *Stack) folder(name string) string {
	if s.cfg.DataDir == "" {
		return ""
	}
	return filepath.Join(s.cfg.DataDir, name)
}

// Stop ends the services, then the broker and the database. It may be called more than once.
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

// Brokers returns Kafka's bootstrap addresses.
func (s *Stack) Brokers() []string { return s.kafka.Brokers }

// Kafka returns how the stack's own clients reach Kafka, with the prefixes of its topics and groups.
func (s *Stack) Kafka() kafka.Config { return s.kafka }

// AdminURL returns a superuser's URL to the database, for looking behind the scenes.
func (s *Stack) AdminURL() string { return s.adminURL }

// Emails returns all email lines so far, oldest first.
func (s *Stack) Emails() []Email { return s.emails.all() }

// Died delivers the error of a service that ended although nobody stopped it.
func (s *Stack) Died() <-chan error { return s.died }

// AuditorURL returns the auditor's URL to the database: that role may read the books of all services and write nothing.
func (s *Stack) AuditorURL() string { return s.databaseURL(migrations.Auditor) }

// databaseURL returns the URL of a role, where the services and the auditor find the database.
func (s *Stack) databaseURL(role string) string {
	as := pgdb.As(s.adminURL, s.cfg.RolePrefix+role)
	if u, err := url.Parse(as); err == nil && s.cfg.Pooler != "" {
		u.Host = s.cfg.Pooler
		return u.String()
	}
	return as
}
