// Package site is what all arms stand on: one Kafka and one durable Postgres. Each run gets topics and a database of its
// own there, and takes them away when it ends.
package site

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/embedded"
)

// Site is open until Close.
type Site struct {
	Brokers  []string
	Real     bool // a Kafka that was given; false: the embedded broker, from which nothing can be concluded
	AdminURL string

	postgres *embedded.Postgres
	broker   *embedded.Broker
	kafka    *kadm.Client
	pgPID    int
}

const (
	startTime   = 90 * time.Second
	cleanupTime = 30 * time.Second
)

// Config says what to use. Without brokers, an embedded broker; without a database, a private Postgres. Both are for
// superusers.
type Config struct {
	Brokers     []string
	DatabaseURL string
}

// Open connects to what is given and starts what is not.
func Open(ctx context.Context, cfg Config) (*Site, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	s := &Site{Brokers: cfg.Brokers, Real: len(cfg.Brokers) > 0, AdminURL: cfg.DatabaseURL}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Site) open(ctx context.Context) error {
	if !s.Real {
		broker, err := embedded.StartBroker(embedded.BrokerConfig{})
		if err != nil {
			return err
		}
		s.broker, s.Brokers = broker, broker.Addrs()
	}
	// What the client knows of topics is fresh, or Clear would not find those of a plot that lived for less than the 5 s
	// for which it remembers them by default.
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers...), kgo.RetryTimeout(10*time.Second), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return fmt.Errorf("connect to Kafka at %v: %w", s.Brokers, err)
	}
	s.kafka = kadm.NewClient(client)
	if _, err := s.kafka.ListBrokers(ctx); err != nil {
		return fmt.Errorf("connect to Kafka at %v: %w", s.Brokers, err)
	}
	if s.AdminURL == "" {
		if s.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{Durable: true}); err != nil {
			return fmt.Errorf("start Postgres: %w", err)
		}
		s.AdminURL = s.postgres.AdminURL("postgres")
	}
	return s.inspect(ctx)
}

// inspect refuses a Postgres that does not keep what it has committed, and finds its process when that is on this machine.
func (s *Site) inspect(ctx context.Context) error {
	var fsync, commit, folder string
	const sql = `SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('data_directory')`
	err := s.query(ctx, sql, func(row pgx.Row) error { return row.Scan(&fsync, &commit, &folder) })
	if err != nil {
		return fmt.Errorf("look at the settings of Postgres: %w", err)
	}
	if fsync != "on" || commit != "on" {
		return fmt.Errorf("fsync=%s and synchronous_commit=%s in Postgres: both must be on, or the figures say nothing", fsync, commit)
	}
	if content, err := os.ReadFile(filepath.Join(folder, "postmaster.pid")); err == nil {
		first, _, _ := strings.Cut(string(content), "\n")
		s.pgPID, _ = strconv.Atoi(first)
	}
	return nil
}

func (s *Site) query(ctx context.Context, sql string, scan func(pgx.Row) error) error {
	conn, err := pgx.Connect(ctx, s.AdminURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return scan(conn.QueryRow(ctx, sql))
}

// Close ends what was started.
func (s *Site) Close() error {
	if s.kafka != nil {
		s.kafka.Close()
	}
	if s.broker != nil {
		s.broker.Stop()
	}
	if s.postgres != nil {
		return s.postgres.Stop()
	}
	return nil
}

// PostgresPID is the server's process, 0 when it is not on this machine.
func (s *Site) PostgresPID() int { return s.pgPID }

// KafkaPID is the broker's process, 0 when it is not known: only a broker that was started for this run is.
func (s *Site) KafkaPID() int {
	content, err := os.ReadFile(filepath.Join(os.Getenv("KAFKA_DIR"), "node1", "pid"))
	if os.Getenv("KAFKA_DIR") == "" || err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(content)))
	return pid
}

// Versions returns what the server programs call themselves.
func (s *Site) Versions(ctx context.Context) map[string]string {
	versions := map[string]string{}
	var postgres string
	if err := s.query(ctx, `SHOW server_version`, func(row pgx.Row) error { return row.Scan(&postgres) }); err == nil {
		versions["postgres"] = postgres
	}
	versions["kafka"] = "embedded broker: no figure counts"
	if s.Real {
		api, err := s.kafka.ApiVersions(ctx)
		if err == nil {
			for _, broker := range api {
				versions["kafka"] = strings.TrimPrefix(broker.VersionGuess(), "v")
			}
		}
	}
	return versions
}

// Plot is the place of one run: a database and topics that nothing else uses.
type Plot struct {
	AdminURL string // a superuser's, of a database without anything in it
	Prefix   string // of topics and groups
	site     *Site
	database string
}

// Partitions returns the contract's topics, each with its partitions.
func Partitions() map[string]int32 {
	partitions := map[string]int32{}
	for _, t := range messages.Topics() {
		partitions[t.Name] = int32(t.Partitions)
	}
	return partitions
}

// Plot makes a database and topics.
func (s *Site) Plot(ctx context.Context, partitions map[string]int32) (*Plot, error) {
	id := strings.ToLower(rand.Text()[:10])
	p := &Plot{site: s, database: "bench_" + id, Prefix: "bench-" + id + "."}
	var err error
	if p.AdminURL, err = withDatabase(s.AdminURL, p.database); err != nil {
		return nil, err
	}
	if err := s.exec(ctx, "CREATE DATABASE "+p.database); err != nil {
		return nil, err
	}
	var specs []bus.TopicSpec
	for name, n := range partitions {
		specs = append(specs, bus.TopicSpec{Name: name, Partitions: n, ReplicationFactor: 1})
	}
	cfg := bus.Config{Brokers: s.Brokers, TopicPrefix: p.Prefix, GroupPrefix: p.Prefix}
	if _, err := bus.CreateTopics(ctx, cfg, specs); err != nil {
		return nil, errors.Join(err, p.Clear())
	}
	return p, nil
}

// Clear takes the database, the topics and the consumer groups away.
func (p *Plot) Clear() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	errs := []error{p.site.exec(ctx, "DROP DATABASE IF EXISTS "+p.database+" WITH (FORCE)")}
	topics, err := p.site.kafka.ListTopics(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	var mine []string
	for _, name := range topics.Names() {
		if strings.HasPrefix(name, p.Prefix) {
			mine = append(mine, name)
		}
	}
	if len(mine) > 0 {
		_, err = p.site.kafka.DeleteTopics(ctx, mine...)
		errs = append(errs, err)
	}
	groups, err := p.site.kafka.ListGroups(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	mine = nil
	for _, name := range groups.Groups() {
		if strings.HasPrefix(name, p.Prefix) {
			mine = append(mine, name)
		}
	}
	if len(mine) > 0 {
		// A group whose members are only just gone may refuse; nothing depends on it.
		_, _ = p.site.kafka.DeleteGroups(ctx, mine...)
	}
	return errors.Join(errs...)
}

func (s *Site) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.AdminURL)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func withDatabase(adminURL, name string) (string, error) {
	u, err := url.Parse(adminURL)
	if err != nil || u.Scheme == "" {
		return "", errors.New("DATABASE_URL is not a URL such as postgres://postgres:secret@localhost:5432/postgres")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// Count returns the number that a query gives.
func (p *Plot) Count(ctx context.Context, sql string) (n int64, err error) {
	conn, err := pgx.Connect(ctx, p.AdminURL)
	if err != nil {
		return 0, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return n, conn.QueryRow(ctx, sql).Scan(&n)
}
