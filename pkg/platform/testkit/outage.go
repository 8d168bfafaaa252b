package testkit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"

	"pasdetrois/pkg/platform/embedded"
)

// Broker belongs to one test, which may stop it and start it again with its data. It is the embedded broker, also when
// KAFKA_BROKERS names another: a test must not stop a Kafka that others use.
type Broker struct {
	t       testing.TB
	port    int
	dir     string
	running *embedded.Broker
}

// OwnBroker returns a running broker without topics. It is stopped when the test ends.
func OwnBroker(t testing.TB) *Broker {
	t.Helper()
	b := &Broker{t: t, port: quietPort(t), dir: t.TempDir()}
	b.Start()
	t.Cleanup(b.Stop)
	return b
}

// Addrs returns the bootstrap addresses. They stay the same after a restart.
func (b *Broker) Addrs() []string { return []string{fmt.Sprintf("127.0.0.1:%d", b.port)} }

// Start starts the broker again, on its data.
func (b *Broker) Start() {
	b.t.Helper()
	running, err := embedded.StartBroker(embedded.BrokerConfig{Port: b.port, DataDir: b.dir})
	if err != nil {
		b.t.Fatal(err)
	}
	b.running = running
}

// Stop stops the broker: connections are refused. Safe to call twice.
func (b *Broker) Stop() {
	if b.running != nil {
		b.running.Stop()
		b.running = nil
	}
}

// Postgres is a server that belongs to one test, which may stop it and start it again with its data.
type Postgres struct {
	*DB
	t        testing.TB
	port     int
	dir      string
	settings []string
	running  *embedded.Postgres
}

// OwnPostgres returns a running server without migrations. Each of its settings is written as name=value. Starting a server takes
// longer than Database, so it is for tests of outages. It is removed when the test ends.
func OwnPostgres(t testing.TB, settings ...string) *Postgres { return ownPostgres(t, nil, settings) }

// Standby returns a running standby, a copy of the server that follows it.
func (p *Postgres) Standby() *Postgres { return ownPostgres(p.t, p.running, p.settings) }

// Follow turns the server into a standby of primary at its next Start. The server must be stopped.
func (p *Postgres) Follow(primary *Postgres) {
	p.t.Helper()
	if err := primary.running.Follow(p.dir); err != nil {
		p.t.Fatal(err)
	}
}

// ownPostgres starts an empty server, or with primary a standby of that one.
func ownPostgres(t testing.TB, primary *embedded.Postgres, settings []string) *Postgres {
	t.Helper()
	dir, err := embedded.ScratchFolder() // not the test's own folder, which only root can enter
	if err != nil {
		t.Fatal(err)
	}
	p := &Postgres{t: t, port: quietPort(t), dir: dir, settings: settings}
	t.Cleanup(func() {
		p.Stop()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if primary != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		if err := primary.CopyTo(ctx, dir); err != nil {
			t.Fatal(err)
		}
	}
	p.Start()
	p.DB = &DB{AdminURL: p.running.AdminURL("postgres")}
	return p
}

// Start starts the server again, on its data.
func (p *Postgres) Start() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	running, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: p.dir, Port: p.port, Settings: p.settings})
	if err != nil {
		p.t.Fatal(err)
	}
	p.running = running
}

// Stop stops the server: open connections end, new ones are refused. Safe to call twice.
func (p *Postgres) Stop() {
	p.t.Helper()
	if p.running == nil {
		return
	}
	if err := p.running.Stop(); err != nil {
		p.t.Error(err)
	}
	p.running = nil
}

// quietPort returns a free port below the range from which the kernel gives ports to outgoing connections. So no other
// program gets the port while the test's server is stopped.
func quietPort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port between 10000 and 30000")
	return 0
}
