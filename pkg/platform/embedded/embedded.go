// Package embedded starts a private Postgres and an in-process broker that speaks Kafka's protocol, for `pas demo`,
// `pas up` and tests. Neither Docker nor root nor any set-up beyond Go is needed.
package embedded

import (
	"context"
	"log/slog"
)

// PostgresConfig configures StartPostgres.
type PostgresConfig struct {
	DataDir string // "" = a temporary folder, removed at Stop; else kept and used again
	Port    int    // 0 = any free port
	Durable bool   // fsync and synchronous_commit on (Postgres's defaults); tests of speed of feedback leave it off
	Log     *slog.Logger
}

// Postgres is a running private server.
type Postgres struct{}

// StartPostgres finds installed server binaries (PATH, the usual places), else downloads them, and starts a server on
// loopback. As root it runs the server as an unprivileged user, because Postgres refuses to run as root.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) { panic("skeleton") }

// AdminURL returns a superuser's connection URL to the named database ("postgres" always exists).
func (p *Postgres) AdminURL(database string) string { panic("skeleton") }

// Stop ends the server (fast shutdown) and removes a temporary data folder. Safe to call twice.
func (p *Postgres) Stop() error { panic("skeleton") }

// Broker is an in-process broker (kfake).
type Broker struct{}

// BrokerConfig configures StartBroker.
type BrokerConfig struct {
	Port    int    // 0 = any free port
	DataDir string // "" = in memory only
	Log     *slog.Logger
}

// StartBroker starts the broker on loopback, without topics and without auto-creation.
func StartBroker(cfg BrokerConfig) (*Broker, error) { panic("skeleton") }

// Addrs returns the bootstrap addresses.
func (b *Broker) Addrs() []string { panic("skeleton") }

// Stop ends the broker.
func (b *Broker) Stop() { panic("skeleton") }
