// Package testkit gives tests a real Postgres database each and a broker.
package testkit

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Main runs a package's tests, stops what they started (Postgres, broker) and checks with goleak that no goroutine is
// left. Call it from TestMain: `func TestMain(m *testing.M) { testkit.Main(m) }`.
func Main(m *testing.M) { panic("skeleton") }

// Migrate brings an empty database to the newest version; adminURL is a superuser's URL to it. migrations.Up fits.
type Migrate func(ctx context.Context, adminURL string) error

// Database creates a database for this test by cloning a template that migrate filled once per process, and drops it
// when the test ends. The server is DATABASE_URL's (a superuser) when set, else a private one started once per process.
func Database(t testing.TB, migrate Migrate) *DB { panic("skeleton") }

// DB is one test's database.
type DB struct {
	AdminURL string // superuser, for looking behind the scenes
}

// URL returns the connection URL of the role and schema owner named service.
func (d *DB) URL(service string) string { panic("skeleton") }

// Pool opens a pool as service with its schema as search_path, closed when the test ends.
func (d *DB) Pool(t testing.TB, service string) *pgxpool.Pool { panic("skeleton") }

// Brokers returns bootstrap addresses: KAFKA_BROKERS when set (a real Kafka), else an in-process broker shared by the
// package's tests. Isolate tests by topic and group prefix: see Prefix.
func Brokers(t testing.TB) []string { panic("skeleton") }

// Prefix returns a short unique prefix for this test's topics and groups.
func Prefix(t testing.TB) string { panic("skeleton") }

// Eventually polls check until it returns nil, or fails the test with its last error when ctx's deadline (20 s) passes.
func Eventually(t testing.TB, check func() error) { panic("skeleton") }
