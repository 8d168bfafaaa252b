//go:build crash

package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

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

// replicasOfEach is how many replicas of each service run.
const replicasOfEach = 2

// replicas are two of each service on one database and one real Kafka, with orders coming in at a steady rate.
type replicas struct {
	ctx      context.Context
	conn     *pgx.Conn // a superuser's
	wire     wire
	services map[string][]*process
	apis     []*client.Client // by replica
	counter  atomic.Int64
	door     atomic.Int64 // the replica that takes the orders
}

func startReplicas(t *testing.T, limit time.Duration) *replicas {
	t.Helper()
	given := os.Getenv("KAFKA_BROKERS")
	require.NotEmpty(t, given, "this needs a real Kafka: `make test SUITE=crash` starts one, or KAFKA_BROKERS names one")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	r := &replicas{ctx: ctx, services: map[string][]*process{}, wire: wire{progress.Kafka{Brokers: strings.Split(given, ","), Prefix: testkit.Prefix(t)}}}
	_, err := kafka.CreateTopics(ctx, kafka.Config{Brokers: r.wire.Brokers, TopicPrefix: r.wire.Prefix}, stack.Topics(1))
	require.NoError(t, err)
	db := testkit.Database(t, migrations.Up)
	r.conn, err = pgx.Connect(ctx, db.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.conn.Close(context.WithoutCancel(ctx)) })

	bin, logs := programs.Build(t), programs.Logs(t)
	addresses := programs.FreeAddresses(t, 2*replicasOfEach*len(messages.Services()))
	for range replicasOfEach {
		endpoints := client.Endpoints{}
		for _, name := range messages.Services() {
			p := newProcess(t, name, bin, logs, addresses[0], addresses[1], []string{"DATABASE_URL=" + db.URL(name),
				"KAFKA_BROKERS=" + given, "KAFKA_TOPIC_PREFIX=" + r.wire.Prefix, "KAFKA_GROUP_PREFIX=" + r.wire.Prefix,
				"PENDING_REPUBLISH_AFTER=2h", "PAYMENT_TIMEOUT=2h", "PROVIDER_LATENCY=1ms"})
			addresses = addresses[2:]
			endpoints[name] = p.endpoint
			r.services[name] = append(r.services[name], p)
			require.NoError(t, p.start())
		}
		r.apis = append(r.apis, client.New(endpoints))
	}
	t.Cleanup(func() {
		for _, api := range r.apis {
			api.Close()
		}
	})
	require.NoError(t, r.balanced())
	return r
}

// load places orders, so many a second, until stop ends. An order that was refused is not one.
func (r *replicas) load(stop context.Context, perSecond int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for {
		select {
		case <-stop.Done():
			return
		case <-tick.C:
			api, n := r.apis[r.door.Load()], r.counter.Add(1)
			wg.Go(func() {
				_, _, _ = api.Place(r.ctx, client.NewOrder{OrderID: fmt.Sprintf("order-%07d", n), UserID: fmt.Sprintf("user-%d", n%50),
					Email: "u@example.com", PaymentMethod: purchase.CardVisa, Total: purchase.Price(10_00)}, client.PlaceOptions{})
			})
		}
	}
}

// balanced waits until each service's replicas share its partitions.
func (r *replicas) balanced() error {
	return r.until(recoveryLimit, "the partitions are shared", func() error {
		c, err := kgo.NewClient(kgo.SeedBrokers(r.wire.Brokers...))
		if err != nil {
			return err
		}
		defer c.Close()
		var groups []string
		for group := range r.wire.Groups() {
			groups = append(groups, group)
		}
		described, err := kadm.NewClient(c).DescribeGroups(r.ctx, groups...)
		if err != nil {
			return err
		}
		for _, g := range described.Sorted() {
			if g.State != "Stable" || len(g.Members) != replicasOfEach {
				return fmt.Errorf("group %s is %s with %d members", g.Group, g.State, len(g.Members))
			}
		}
		for i := range replicasOfEach {
			for _, name := range messages.Services() {
				if err := r.apis[i].Ready(r.ctx, name); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

const slowestSQL = `
SELECT count(*) FILTER (WHERE n.id IS NULL), count(*), COALESCE(extract(epoch FROM max(n.created_at - o.created_at)), 0)::float8
FROM orders.audit_orders o LEFT JOIN notifications.audit_notifications n ON n.order_id = o.order_id AND n.kind = 'confirmed'
WHERE o.created_at BETWEEN $1 AND $2`

// slowest waits until every order of a span of time has passed all services, and returns how long the slowest took: for as
// long as the partitions of a dead replica stood still.
func (r *replicas) slowest(from, to time.Time) (took time.Duration, orders int, err error) {
	var open int
	var seconds float64
	err = r.until(recoveryLimit, "all orders went through", func() error {
		if time.Now().Before(to) {
			return errors.New("orders are still placed")
		}
		err := r.conn.QueryRow(r.ctx, slowestSQL, from, to).Scan(&open, &orders, &seconds)
		if err == nil && open > 0 {
			err = fmt.Errorf("%d of %d orders are open", open, orders)
		}
		return err
	})
	return time.Duration(seconds * float64(time.Second)), orders, err
}

// until asks check again until it returns nil, or limit is over.
func (r *replicas) until(limit time.Duration, what string, check func() error) error {
	for deadline := time.Now().Add(limit); ; {
		err := check()
		if err == nil {
			return nil
		}
		for _, p := range slices.Concat(r.services[client.Orders], r.services[client.Payments], r.services[client.Notifications]) {
			if err := p.alive(); err != nil {
				return err
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s still not: %s: %w", limit, what, err)
		}
		if err := pause(r.ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
