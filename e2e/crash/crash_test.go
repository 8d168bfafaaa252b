//go:build crash

package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/e2e/programs"
	"pasdetrois/e2e/progress"
	"pasdetrois/e2e/purchase"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

const (
	// The limits are for a machine that is much slower than a usual one; nothing is asserted about speed.
	runLimit      = 9 * time.Minute
	recoveryLimit = 90 * time.Second
	settleLimit   = 2 * time.Minute
)

// TestNothingIsLostAndNobodyIsChargedTwice: see the package's documentation. CRASH_SEED repeats the choices of a run,
// though not its moments.
func TestNothingIsLostAndNobodyIsChargedTwice(t *testing.T) {
	began := time.Now()
	seed := givenSeed(t)
	t.Logf("seed %d (CRASH_SEED=%d chooses the same again)", seed, seed)
	s := start(t, seed)
	t.Logf("%5.1fs three services, Postgres and Kafka are up", time.Since(began).Seconds())

	c := &campaign{system: s, began: time.Now(), rng: rand.New(rand.NewPCG(seed, 0)), log: t.Logf}
	stop, stopShopping := context.WithCancel(s.ctx)
	defer stopShopping()
	shopped := make(chan error, 1)
	go func() { shopped <- s.customers.shop(s.ctx, stop) }()
	err := c.run()
	stopShopping()
	require.NoError(t, errors.Join(err, <-shopped))
	loaded := time.Since(c.began)
	t.Logf("%5.1fs the shops are closed", loaded.Seconds())

	unsettled := s.settle()
	settled := time.Since(c.began)
	b, err := readBooks(s.ctx, s.conn, s.wire, s.mail)
	require.NoError(t, err)
	sum, problems := countUp(s.customers.bought, b)
	t.Log(report(s, c, sum, b.Left, loaded, settled-loaded, time.Since(began)))
	if len(problems) > 0 {
		t.Errorf("%d problems, with seed %d:\n  %s", len(problems), seed, strings.Join(problems[:min(len(problems), 40)], "\n  "))
	}
	require.NoError(t, unsettled)
	require.Empty(t, complaints(t, s), "what the services said beside their logs")
}

func givenSeed(t *testing.T) uint64 {
	t.Helper()
	given := os.Getenv("CRASH_SEED")
	if given == "" {
		return rand.Uint64() % 1_000_000
	}
	seed, err := strconv.ParseUint(given, 10, 64)
	require.NoError(t, err, "CRASH_SEED")
	return seed
}

// system is everything that runs.
type system struct {
	ctx       context.Context
	conn      *pgx.Conn // a superuser's
	wire      wire
	services  map[string]*process
	customers *customers
	mail      *mailbox
	broker    *programs.Broker
	noBroker  string // why there is none
}

func start(t *testing.T, seed uint64) *system {
	t.Helper()
	given := os.Getenv("KAFKA_BROKERS")
	require.NotEmpty(t, given, "this needs a real Kafka: `make test SUITE=crash` starts one, or KAFKA_BROKERS names one")
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	t.Cleanup(cancel)
	s := &system{ctx: ctx, services: map[string]*process{}, mail: newMailbox(t), wire: wire{progress.Kafka{Brokers: strings.Split(given, ","), Prefix: testkit.Prefix(t)}}}
	s.broker, s.noBroker = programs.GivenBroker()

	cfg := kafka.Config{Brokers: s.wire.Brokers, TopicPrefix: s.wire.Prefix, GroupPrefix: s.wire.Prefix}
	_, err := kafka.CreateTopics(ctx, cfg, stack.Topics(1))
	require.NoError(t, err)
	db := testkit.Database(t, migrations.Up)
	s.conn, err = pgx.Connect(ctx, db.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.conn.Close(context.WithoutCancel(ctx)) })

	bin, logs := programs.Build(t), programs.Logs(t)
	addresses, endpoints := programs.FreeAddresses(t, 2*len(messages.Services())), client.Endpoints{}
	for i, name := range messages.Services() {
		s.services[name] = newProcess(t, name, bin, logs, addresses[2*i], addresses[2*i+1], append(s.settings(name),
			"DATABASE_URL="+db.URL(name), "KAFKA_BROKERS="+given,
			"KAFKA_TOPIC_PREFIX="+s.wire.Prefix, "KAFKA_GROUP_PREFIX="+s.wire.Prefix))
		endpoints[name] = s.services[name].endpoint
		require.NoError(t, s.services[name].start())
	}
	api := client.New(endpoints)
	t.Cleanup(api.Close)
	s.customers = &customers{client: api, seed: seed}
	for _, name := range messages.Services() {
		require.NoError(t, s.until(recoveryLimit, name+" is ready", func() error { return api.Ready(ctx, name) }))
	}
	for _, p := range purchase.Products() {
		_, err := api.PutProduct(ctx, p.SKU, client.Product{Name: p.SKU, Price: purchase.Price(p.PriceMinor)})
		require.NoError(t, err)
		_, err = api.Restock(ctx, p.SKU, p.Stock)
		require.NoError(t, err)
	}
	return s
}

// settings make work take long enough to be hit, and leave no safety net but the protocol: orders that stay where they
// are too long are not published again, and wait for their payment for longer than the run.
func (s *system) settings(service string) []string {
	switch service {
	case client.Orders:
		return []string{"PENDING_REPUBLISH_AFTER=2h", "PAYMENT_TIMEOUT=2h"}
	case client.Payments:
		return []string{"PROVIDER_LATENCY=20ms", "PROVIDER_ERROR_RATE=0.02"}
	default:
		return []string{"EMAIL_TIMEOUT=4s", "EMAIL_CONCURRENCY=32", "EMAIL_PER_HOUR=0", "SMTP_URL=" + s.mail.url}
	}
}

// complaints returns what the services wrote to their standard errors: panics end there.
func complaints(t *testing.T, s *system) string {
	t.Helper()
	var all strings.Builder
	for _, p := range s.services {
		said, err := os.ReadFile(p.errs.Name())
		require.NoError(t, err)
		all.Write(said)
	}
	return all.String()
}

// until asks check again until it returns nil, or limit is over, or a service ended by itself.
func (s *system) until(limit time.Duration, what string, check func() error) error {
	for deadline := time.Now().Add(limit); ; {
		err := check()
		if err == nil {
			return nil
		}
		for _, p := range s.services {
			if err := p.alive(); err != nil {
				return err
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s still not: %s: %w", limit, what, err)
		}
		if err := pause(s.ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// settle waits until nothing is open anywhere and every record is acknowledged.
func (s *system) settle() error {
	return s.until(settleLimit, "everything is settled", func() error {
		open, err := progress.Look(s.ctx, s.conn)
		if err != nil {
			return err
		}
		if open.Orders+open.Outbox+open.Unsent > 0 {
			return fmt.Errorf("%d orders, %d messages in the outbox, %d emails are open", open.Orders, open.Outbox, open.Unsent)
		}
		lag, err := s.wire.Lag(s.ctx)
		if err == nil && lag > 0 {
			err = fmt.Errorf("%d records are not acknowledged", lag)
		}
		return err
	})
}
