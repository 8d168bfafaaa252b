//go:build chaos

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/bench/process"
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
	replicasEach  = 2
	readyLimit    = 60 * time.Second
	recoveryLimit = 60 * time.Second
	drainLimit    = 60 * time.Second
	scarcePieces  = 200
)

// field is everything that runs during one row.
type field struct {
	settings
	t         *testing.T
	ctx       context.Context
	rng       *rand.Rand
	kafka     progress.Kafka
	broker    *programs.Broker
	db        *server
	adminURL  string // a superuser's, of the database itself
	replicas  []*replica
	shop      *customers
	began     time.Time
	faults    int
	hostility *hostility    // of the row hostile
	links     *links        // nil unless the row wants them
	pair      *pair         // nil unless the row wants it
	slow      time.Duration // the longest until orders went through again
}

// settings of a row.
type settings struct {
	size  int
	seed  uint64
	rate  float64
	long  time.Duration // the longest that a fault lasts
	timed bool          // times are judged
	bin   string        // the folder of the built programs
}

// ports of a row: two of each replica, one of Postgres and one of its standby.
const ports = 2*replicasEach*3 + 2

func newField(t *testing.T, s settings, r row) *field {
	t.Helper()
	given := os.Getenv("KAFKA_BROKERS")
	require.NotEmpty(t, given, "this needs a real Kafka: `make chaos` starts one")
	f := &field{settings: s, t: t, ctx: t.Context(), rng: rand.New(rand.NewPCG(s.seed, 1))}
	f.kafka = progress.Kafka{Brokers: strings.Split(given, ","), Prefix: testkit.Prefix(t)}
	var why string
	if f.broker, why = programs.GivenBroker(); f.broker == nil {
		t.Log(why)
	}
	_, err := kafka.CreateTopics(f.ctx, kafka.Config{Brokers: f.kafka.Brokers, TopicPrefix: f.kafka.Prefix, GroupPrefix: f.kafka.Prefix}, stack.Topics(1))
	require.NoError(t, err)
	addresses := programs.FreeAddresses(t, ports+linkedPorts)
	f.db = newServer(t, port(addresses[0]))
	require.NoError(t, f.db.start(f.ctx))
	f.adminURL = f.db.url("postgres")
	require.NoError(t, migrations.Up(f.ctx, f.adminURL))
	if r.linked {
		f.links = f.link(addresses[ports:])
	}
	if r.paired {
		f.pair = f.pairUp(port(addresses[1]))
	}
	f.startReplicas(addresses[2:ports])
	return f
}

func port(address string) int {
	var n int
	_, _ = fmt.Sscanf(address[strings.LastIndexByte(address, ':')+1:], "%d", &n)
	return n
}

func (f *field) startReplicas(addresses []string) {
	logs := programs.Logs(f.t)
	f.shop = &customers{seed: f.seed, rate: f.rate}
	for _, service := range messages.Services() {
		for n := range replicasEach {
			r := &replica{service: service, public: addresses[0], admin: addresses[1]}
			addresses = addresses[2:]
			r.spec = process.Spec{Name: fmt.Sprintf("%s-%d", service, n+1), Path: filepath.Join(f.bin, service), Logs: logs,
				Env: f.environment(service, r)}
			at := r.public
			if f.links != nil {
				at = f.links.join(r)
			}
			f.t.Cleanup(r.end)
			require.NoError(f.t, r.start())
			f.replicas = append(f.replicas, r)
			if service == client.Orders {
				api := client.NewBusy(client.Endpoints{service: {Public: "http://" + at, Admin: "http://" + r.admin}}, 200)
				f.t.Cleanup(api.Close)
				f.shop.clients = append(f.shop.clients, api)
			}
		}
	}
	require.NoError(f.t, f.ready())
	for _, p := range purchase.Products() {
		_, err := f.shop.clients[0].PutProduct(f.ctx, p.SKU, client.Product{Name: p.SKU, Price: purchase.Price(p.PriceMinor)})
		require.NoError(f.t, err)
		stock := p.Stock
		if p.SKU == purchase.Scarce {
			stock = scarcePieces
		}
		_, err = f.shop.clients[0].Restock(f.ctx, p.SKU, stock)
		require.NoError(f.t, err)
	}
}

// environment is what compose ships, beside the addresses.
func (f *field) environment(service string, r *replica) []string {
	return []string{"HTTP_ADDR=" + r.public, "ADMIN_ADDR=" + r.admin, "DATABASE_URL=" + as(f.adminURL, service),
		"KAFKA_BROKERS=" + strings.Join(f.kafka.Brokers, ","), "KAFKA_TOPIC_PREFIX=" + f.kafka.Prefix, "KAFKA_GROUP_PREFIX=" + f.kafka.Prefix,
		fmt.Sprintf("GOMEMLIMIT=%d", memoryLimit(service)*85/100)} // as a service sets it in its container
}

// memoryLimit is the limit that compose gives a service, in bytes.
func memoryLimit(service string) int64 {
	if service == client.Orders {
		return 384 << 20
	}
	return 256 << 20
}

// as returns the URL for a role, whose password is its name.
func as(adminURL, role string) string {
	u, err := url.Parse(adminURL)
	if err != nil {
		return adminURL
	}
	u.User = url.UserPassword(role, role)
	return u.String()
}

// of returns the replicas of a service.
func (f *field) of(service string) (found []*replica) {
	for _, r := range f.replicas {
		if r.service == service {
			found = append(found, r)
		}
	}
	return found
}

// ready waits until every replica says that it is ready.
func (f *field) ready() error {
	for _, r := range f.replicas {
		api := client.New(client.Endpoints{r.service: {Public: "http://" + r.public, Admin: "http://" + r.admin}})
		err := f.until(readyLimit, r.spec.Name+" is ready", func(ctx context.Context) error { return api.Ready(ctx, r.service) })
		api.Close()
		if err != nil {
			return fmt.Errorf("%w; its log ends with: %s", err, r.said())
		}
	}
	return nil
}

// until asks check again until it returns nil, or limit is over.
func (f *field) until(limit time.Duration, what string, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(f.ctx, limit)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			return fmt.Errorf("after %s still not: %s: %w", limit, what, err)
		}
	}
}

// recovered waits until every order that was placed up to now has its end, and one that was placed later has passed through
// all three services.
func (f *field) recovered(after string) error {
	since := time.Now()
	err := f.until(recoveryLimit, "orders go through again after "+after, func(ctx context.Context) error {
		return f.ask(ctx, func(conn *pgx.Conn) error {
			behind, err := progress.Behind(ctx, conn, since)
			if err != nil || behind > 0 {
				return errors.Join(err, fmt.Errorf("%d orders placed before have no end", behind))
			}
			yes, err := progress.Through(ctx, conn, since)
			if err == nil && !yes {
				err = fmt.Errorf("no order placed since then is through")
			}
			return err
		})
	})
	took := time.Since(since)
	f.slow = max(f.slow, took)
	f.say("orders go through %.1f s after %s", took.Seconds(), after)
	return err
}

// drained waits until nothing is open anywhere and every record is acknowledged.
func (f *field) drained(limit time.Duration) error {
	return f.until(limit, "everything is settled", func(ctx context.Context) error {
		var open progress.Open
		err := f.ask(ctx, func(conn *pgx.Conn) (err error) {
			open, err = progress.Look(ctx, conn)
			return err
		})
		if err != nil {
			return err
		}
		if open != (progress.Open{}) {
			return fmt.Errorf("%d orders, %d messages in the outbox, %d emails are open", open.Orders, open.Outbox, open.Unsent)
		}
		lag, err := f.kafka.Lag(ctx)
		if err == nil && lag > 0 {
			err = fmt.Errorf("%d records are not acknowledged", lag)
		}
		return err
	})
}

// kafkaVersion is what the broker's protocol looks like.
func (f *field) kafkaVersion() (version string) {
	err := f.kafka.With(f.ctx, func(c *kgo.Client, _ kadm.ListedOffsets) error {
		brokers, err := kadm.NewClient(c).ApiVersions(f.ctx)
		for _, b := range brokers {
			version = strings.TrimPrefix(b.VersionGuess(), "v")
		}
		return err
	})
	if err != nil {
		return "of an unknown version"
	}
	return version
}

// say logs progress.
func (f *field) say(format string, args ...any) {
	f.t.Helper()
	f.t.Logf("%6.1fs %s", time.Since(f.began).Seconds(), fmt.Sprintf(format, args...))
}

// wait waits a random time up to limit.
func (f *field) wait(limit time.Duration) error {
	return pause(f.ctx, time.Duration(f.rng.Int64N(int64(limit))))
}

// lasting returns how long a fault lasts: 1 s to the longest.
func (f *field) lasting() time.Duration {
	return time.Second + time.Duration(f.rng.Int64N(int64(f.long-time.Second)))
}

// faulted counts a fault and tells of it, of kills only each tenth.
func (f *field) faulted(format string, args ...any) {
	if f.faults++; f.faults%10 == 0 || f.size <= 100 {
		f.say("%d of %d: %s; %d orders taken", f.faults, f.size, fmt.Sprintf(format, args...), f.shop.taken())
	}
}
