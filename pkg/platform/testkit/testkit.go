// Package testkit gives tests a real Postgres database each and a broker.
//
//	Database, Brokers       shared servers, for nearly all tests: a database and prefixes isolate the tests
//	OwnPostgres, OwnBroker  a server of one test, which may stop it
//	Proxy                   a network that hangs, refuses, cuts, or loses an answer
//	IndexEntries            the cost of a statement, the same on every machine
//	Statements              what a request asks of the database
//
// Tests may call everything in parallel. A missing server is started, and a failure to start it fails the test.
package testkit

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/pgdb"
)

// shared holds the servers that the tests of one process use together. The first test that needs a server starts it.
var shared struct {
	sync.Mutex
	adminURL string
	postgres *embedded.Postgres
	broker   *embedded.Broker
	template string
}

// patience bounds a wait. It is long because a loaded machine is slow, and a test that passes does not wait for its end.
const patience = time.Minute

// Main runs a package's tests, stops their Postgres and their broker, and fails when a goroutine is left (goleak). Goroutines
// with a function of leftover on top are allowed. Call it from TestMain: `func TestMain(m *testing.M) { testkit.Main(m) }`.
func Main(m *testing.M, leftover ...string) {
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testkit:", err)
		code = max(code, 1)
	}
	if code == 0 {
		// sarama's metrics library keeps one ticker for the process and has no way to end it.
		ignored := []goleak.Option{goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")}
		for _, f := range leftover {
			ignored = append(ignored, goleak.IgnoreTopFunction(f))
		}
		if err := goleak.Find(ignored...); err != nil {
			fmt.Fprintln(os.Stderr, "testkit: goroutines are left over:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// stop ends the shared servers. On a server of DATABASE_URL it drops the template, which would otherwise stay there.
func stop() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.broker != nil {
		shared.broker.Stop()
	}
	if shared.template != "" && shared.postgres == nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := admin(ctx, "DROP DATABASE IF EXISTS "+shared.template+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	if shared.postgres != nil {
		return shared.postgres.Stop()
	}
	return nil
}

// Migrate brings an empty database to the newest version; adminURL is a superuser's URL to it. migrations.Up fits.
type Migrate func(ctx context.Context, adminURL string) error

// DB is one test's database.
type DB struct {
	AdminURL string // superuser, for looking behind the scenes
}

// Database creates a database for this test by cloning a template that migrate filled once per process, and drops it
// when the test ends. The server is DATABASE_URL's (a superuser) when set, else a private one started once per process.
func Database(t testing.TB, migrate Migrate) *DB {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	if err := clone(name, migrate); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := admin(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return &DB{AdminURL: pgdb.In(shared.adminURL, name)}
}

// clone makes a database from the template, and before that, once per process, the server and the template. It holds the lock for
// all of that, so parallel tests never make two templates.
func clone(name string, migrate Migrate) error {
	shared.Lock()
	defer shared.Unlock()
	if shared.adminURL == "" {
		if given := os.Getenv("DATABASE_URL"); given != "" {
			shared.adminURL = given
		} else {
			// It has limits of its own: where nothing is installed, the first test waits for a download.
			server, err := embedded.StartPostgres(context.Background(), embedded.PostgresConfig{})
			if err != nil {
				return err
			}
			shared.postgres, shared.adminURL = server, server.AdminURL("postgres")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if shared.template == "" {
		template := "template_" + strings.ToLower(rand.Text())
		if err := admin(ctx, "CREATE DATABASE "+template); err != nil {
			return err
		}
		if err := migrate(ctx, pgdb.In(shared.adminURL, template)); err != nil {
			return fmt.Errorf("migrate the template: %w", err)
		}
		shared.template = template
	}
	return admin(ctx, "CREATE DATABASE "+name+" TEMPLATE "+shared.template)
}

func admin(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, shared.adminURL)
	if err != nil {
		return fmt.Errorf("connect to the tests' Postgres: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// URL returns the connection URL of the role and schema owner named service.
func (d *DB) URL(service string) string {
	return pgdb.As(d.AdminURL, service)
}

// Pool opens a pool as service with its schema as search_path, closed when the test ends.
func (d *DB) Pool(t testing.TB, service string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgdb.Open(pgdb.Config{URL: d.URL(service), Schema: service, AppName: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closePool(t, pool) })
	return pool
}

// closePool closes a pool. A test that fails within a transaction of its own keeps a connection, for which Close would wait
// without end: the failure would not be shown.
func closePool(t testing.TB, pool *pgxpool.Pool) {
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Error("the test keeps a connection: it began a transaction and did not end it")
	}
}

// Brokers returns bootstrap addresses: KAFKA_BROKERS when set (a real Kafka), else an in-process broker shared by the
// package's tests. Isolate tests by topic and group prefix: see Prefix.
func Brokers(t testing.TB) []string {
	t.Helper()
	if given := os.Getenv("KAFKA_BROKERS"); given != "" {
		return strings.Split(given, ",")
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.broker == nil {
		broker, err := embedded.StartBroker(embedded.BrokerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		shared.broker = broker
	}
	return shared.broker.Addrs()
}

// Prefix returns a short unique prefix for this test's topics and groups.
func Prefix(testing.TB) string { return "t" + strings.ToLower(rand.Text()[:10]) + "." }

// Eventually polls check until it returns nil. After a minute it fails the test with the last error. The longer it waits, the
// more seldom it calls check: many tests wait at the same time, and checks cost processor time that their services need.
func Eventually(t testing.TB, check func() error) {
	t.Helper()
	begun := time.Now()
	for {
		err := check()
		if err == nil {
			return
		}
		waited := time.Since(begun)
		if waited > patience {
			t.Fatal(err)
		}
		time.Sleep(min(max(waited/10, 5*time.Millisecond), 100*time.Millisecond))
	}
}
