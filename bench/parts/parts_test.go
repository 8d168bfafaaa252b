package parts_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/limits"
	"pasdetrois/bench/parts"
	"pasdetrois/bench/site"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// plot is a place on a site of its own.
func plot(t *testing.T) (*site.Site, *site.Plot) {
	t.Helper()
	var cfg site.Config
	if given := os.Getenv("KAFKA_BROKERS"); given != "" {
		cfg.Brokers = strings.Split(given, ",")
	}
	s, err := site.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	p, err := s.Plot(t.Context(), site.Partitions())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Clear()) })
	return s, p
}

func TestPartsAlone(t *testing.T) {
	t.Parallel()
	s, p := plot(t)
	require.NoError(t, arm.Stock(t.Context(), p.AdminURL))
	relay := parts.Relay{Brokers: s.Brokers, Prefix: p.Prefix, OrdersDB: pgdb.As(p.AdminURL, "orders")}
	for name, measure := range map[string]func(context.Context) (float64, error){
		"from the table": func(ctx context.Context) (float64, error) { return relay.Recover(ctx, 600) },
		"from memory":    func(ctx context.Context) (float64, error) { return relay.Relay(ctx, 600) },
		"until acknowledged": func(ctx context.Context) (float64, error) {
			l, err := relay.Latency(ctx, 100, 500)
			require.Equal(t, 100, l.N)
			require.Less(t, l.Max, 60_000.0, "each is timed from its own commit")
			return l.P99, err
		},
		"a hop": func(ctx context.Context) (float64, error) {
			l, err := limits.Hop(ctx, s.Brokers, p.Prefix+messages.TopicNotifications, 20)
			require.Equal(t, 20, l.N)
			return l.P50, err
		},
		"a commit": func(ctx context.Context) (float64, error) {
			l, err := limits.Commit(ctx, p.AdminURL, 20)
			require.Equal(t, 20, l.N)
			return l.P50, err
		},
	} {
		v, err := measure(t.Context())
		require.NoError(t, err, name)
		require.Positive(t, v, name)
	}
}

func TestConsumingAlone(t *testing.T) {
	t.Parallel()
	s, p := plot(t)
	require.NoError(t, parts.Fill(t.Context(), s.Brokers, p.Prefix+messages.TopicOrders, 500))
	rate, err := parts.Consume(t.Context(), s.Brokers, p.Prefix, 500, time.Millisecond)
	require.NoError(t, err)
	require.Positive(t, rate)
}

// The lifecycle that pgbench runs is one of the product's, to its end. Each script has its own orders.
func TestLifecyclesInSQLAreWhole(t *testing.T) {
	t.Parallel()
	s, _ := plot(t)
	for _, script := range []string{limits.SingleStatement, limits.ManyStatements} {
		p, err := s.Plot(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, arm.Stock(t.Context(), p.AdminURL))
		require.NoError(t, limits.Once(t.Context(), p.AdminURL, script, 1_000_000_007, 7), script)
		rate, err := limits.Lifecycles(t.Context(), p.AdminURL, script, 1)
		if !errors.Is(err, limits.ErrMissing) { // then it was told, and one lifecycle has run all the same
			require.NoError(t, err, script)
			require.Positive(t, rate)
		}
		wrong, err := p.Count(t.Context(), `SELECT count(*) FROM orders.orders o
			WHERE status <> 'confirmed'
			   OR (SELECT count(*) FROM orders.order_events e WHERE e.order_id = o.order_id) <> 3
			   OR NOT EXISTS (SELECT FROM orders.order_lines l WHERE l.order_id = o.order_id)
			   OR NOT EXISTS (SELECT FROM payments.payments p WHERE p.order_id = o.order_id AND p.status = 'captured')
			   OR NOT EXISTS (SELECT FROM payments.provider_ledger g WHERE g.order_id = o.order_id)
			   OR NOT EXISTS (SELECT FROM notifications.notifications n WHERE n.order_id = o.order_id AND n.status = 'sent')`)
		require.NoError(t, err)
		require.Zero(t, wrong, "orders that were not carried to their end")
		placed, err := p.Count(t.Context(), `SELECT count(*) FROM orders.orders`)
		require.NoError(t, err)
		sold, err := p.Count(t.Context(), `SELECT sum(sold) FROM orders.inventory`)
		require.NoError(t, err)
		require.Equal(t, placed, sold)
		require.Positive(t, placed)
		require.NoError(t, p.Clear())
	}
}
