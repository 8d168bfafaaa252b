package arm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
)

// Servers are the Kafka and the durable Postgres that all arms share. They are open until Close. Arms run one
// after the other, so each has the servers for itself.
type Servers struct {
	Brokers []string
	Real    bool // false: the embedded broker, whose figures mean nothing

	database // a superuser's
	postgres *embedded.Postgres
	broker   *embedded.Broker
	kafka    *kadm.Client
	pgPID    int
}

// startTime bounds Open, and cleanupTime the creation and the removal of a sandbox.
const (
	startTime   = 90 * time.Second
	cleanupTime = 30 * time.Second
)

// Open connects to the given servers and starts the missing ones: an embedded broker without brokers, a private
// Postgres without a database. databaseURL is a superuser's. An error leaves nothing running.
func Open(ctx context.Context, brokers []string, databaseURL string) (*Servers, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	s := &Servers{Brokers: brokers, Real: len(brokers) > 0, database: database{databaseURL}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open connects or starts each server, and leaves the rest to Close when it fails.
func (s *Servers) open(ctx context.Context) error {
	if !s.Real {
		broker, err := embedded.StartBroker(embedded.BrokerConfig{})
		if err != nil {
			return err
		}
		s.broker, s.Brokers = broker, broker.Addrs()
	}
	// By default the client remembers the topics for 5 s. Clear needs those that were made a moment ago.
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers...), kgo.RetryTimeout(10*time.Second), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return fmt.Errorf("connect to Kafka at %v: %w", s.Brokers, err)
	}
	s.kafka = kadm.NewClient(client)
	if _, err := s.kafka.ListBrokers(ctx); err != nil {
		return fmt.Errorf("connect to Kafka at %v: %w", s.Brokers, err)
	}
	if s.url == "" {
		if s.postgres, err = embedded.StartPostgres(ctx, embedded.PostgresConfig{Durable: true}); err != nil {
			return fmt.Errorf("start Postgres: %w", err)
		}
		s.url = s.postgres.AdminURL("postgres")
	}
	return s.inspect(ctx)
}

const settingsSQL = `SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('data_directory')`

// inspect rejects a Postgres that may lose commits: all arms would be faster than any real system. It also
// finds the server's process when that is on this machine, for its processor time.
func (s *Servers) inspect(ctx context.Context) error {
	var fsync, commit, folder string
	if err := s.read(ctx, []any{&fsync, &commit, &folder}, nil, settingsSQL); err != nil {
		return fmt.Errorf("read the settings of Postgres: %w", err)
	}
	if fsync != "on" || commit != "on" {
		return fmt.Errorf("fsync=%s and synchronous_commit=%s in Postgres: both must be on, or the figures mean nothing", fsync, commit)
	}
	s.pgPID = pidIn(filepath.Join(folder, "postmaster.pid"))
	return nil
}

// pidIn returns the process id on the first line of a file; it is 0 when there is none.
func pidIn(file string) int {
	content, _ := os.ReadFile(file)
	first, _, _ := strings.Cut(string(content), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(first))
	return pid
}

// PostgresPID returns the server's process id; it is 0 when the server is not on this machine.
func (s *Servers) PostgresPID() int { return s.pgPID }

// KafkaPID returns the broker's process id; it is 0 when the broker was not started for this run. KAFKA_DIR is
// set by the script that starts one.
func (s *Servers) KafkaPID() int {
	if dir := os.Getenv("KAFKA_DIR"); dir != "" {
		return pidIn(filepath.Join(dir, "node1", "pid"))
	}
	return 0
}

// Close stops the servers that Open started, and leaves the given ones running.
func (s *Servers) Close() error {
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

// Versions returns the versions of the servers, for the report. A version that cannot be read is left out.
func (s *Servers) Versions(ctx context.Context) map[string]string {
	versions := map[string]string{"kafka": "embedded broker: no figure counts"}
	var postgres string
	if err := s.read(ctx, []any{&postgres}, nil, `SHOW server_version`); err == nil {
		versions["postgres"] = postgres
	}
	if s.Real {
		brokers, _ := s.kafka.ApiVersions(ctx)
		for _, broker := range brokers {
			versions["kafka"] = strings.TrimPrefix(broker.VersionGuess(), "v")
		}
	}
	return versions
}

// Sandbox is a database and prefixed topics for one measurement alone. New ones each time keep the tables, logs
// and groups of one measurement from slowing the next.
type Sandbox struct {
	database        // a superuser's, empty at first
	Prefix   string // of topics and groups
	servers  *Servers
	name     string
}

// Partitions returns the contract's topics with their numbers of partitions.
func Partitions() map[string]int32 {
	all := map[string]int32{}
	for _, topic := range messages.Topics() {
		all[topic.Name] = int32(topic.Partitions)
	}
	return all
}

// In makes a sandbox, calls do with it, and removes it, also after an error. Its error joins both.
func (s *Servers) In(ctx context.Context, partitions map[string]int32, do func(*Sandbox) error) error {
	box, err := s.sandbox(ctx, partitions)
	if err != nil {
		return err
	}
	return errors.Join(do(box), box.clear())
}

// sandbox makes a database and topics with a random name, with one replica each: the benchmark has one broker.
func (s *Servers) sandbox(ctx context.Context, partitions map[string]int32) (*Sandbox, error) {
	id := strings.ToLower(rand.Text()[:10])
	box := &Sandbox{servers: s, name: "bench_" + id, Prefix: "bench-" + id + "."}
	box.url = pgdb.In(s.url, box.name)
	if err := s.exec(ctx, "CREATE DATABASE "+box.name); err != nil {
		return nil, err
	}
	for topic, n := range partitions {
		if _, err := s.kafka.CreateTopic(ctx, n, 1, nil, box.Prefix+topic); err != nil {
			return nil, errors.Join(fmt.Errorf("create topic %s: %w", topic, err), box.clear())
		}
	}
	return box, box.await(ctx, len(partitions))
}

// await waits until the broker lists the topics: Kafka confirms a new topic earlier.
func (b *Sandbox) await(ctx context.Context, topics int) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTime)
	defer cancel()
	for {
		mine, err := b.topics(ctx)
		switch {
		case err != nil:
			return err
		case len(mine) == topics:
			return nil
		case !wait.Sleep(ctx, 20*time.Millisecond):
			return fmt.Errorf("%d of %d topics were made, and the broker does not list the others", len(mine), topics)
		}
	}
}

// topics returns the names of the sandbox's topics that the broker lists without an error.
func (b *Sandbox) topics(ctx context.Context) (mine []string, err error) {
	all, err := b.servers.kafka.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for name, topic := range all {
		if strings.HasPrefix(name, b.Prefix) && topic.Err == nil {
			mine = append(mine, name)
		}
	}
	return mine, nil
}

// clear removes the database, the topics and the consumer groups. It has its own time limit, so that it works
// after an interrupt.
func (b *Sandbox) clear() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	errs := []error{b.servers.exec(ctx, "DROP DATABASE IF EXISTS "+b.name+" WITH (FORCE)")}
	mine, err := b.topics(ctx)
	if err == nil && len(mine) > 0 {
		_, err = b.servers.kafka.DeleteTopics(ctx, mine...)
	}
	errs = append(errs, err)
	groups, err := b.servers.kafka.ListGroups(ctx)
	for _, name := range groups.Groups() {
		if strings.HasPrefix(name, b.Prefix) {
			_, _ = b.servers.kafka.DeleteGroups(ctx, name) // a group whose members have just left may refuse; nothing depends on it
		}
	}
	return errors.Join(append(errs, err)...)
}
