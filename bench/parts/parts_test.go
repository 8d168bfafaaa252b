package parts_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/parts"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// servers are open until the test ends. Kafka is KAFKA_BROKERS, else an embedded broker.
func servers(t *testing.T) *arm.Servers {
	t.Helper()
	var brokers []string
	if given := os.Getenv("KAFKA_BROKERS"); given != "" {
		brokers = strings.Split(given, ",")
	}
	s, err := arm.Open(t.Context(), brokers, "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestPartsAlone(t *testing.T) {
	t.Parallel()
	s := servers(t)
	require.NoError(t, s.In(t.Context(), arm.Partitions(), func(p *arm.Sandbox) error {
		require.NoError(t, p.Migrate(t.Context()))
		measureAll(t, s, p)
		return nil
	}))
}

func measureAll(t *testing.T, s *arm.Servers, p *arm.Sandbox) {
	t.Helper()
	relay := parts.Relay{Brokers: s.Brokers, Prefix: p.Prefix, OrdersDB: p.As("orders")}
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
			l, err := parts.Hop(ctx, s.Brokers, p.Prefix+messages.TopicNotifications, 20)
			require.Equal(t, 20, l.N)
			return l.P50, err
		},
		"a commit": func(ctx context.Context) (float64, error) {
			l, err := parts.Commit(ctx, p.AdminURL(), 20)
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
	s := servers(t)
	require.NoError(t, s.In(t.Context(), arm.Partitions(), func(p *arm.Sandbox) error {
		require.NoError(t, parts.Fill(t.Context(), s.Brokers, p.Prefix+messages.TopicOrders, 500, parts.Plain))
		rate, err := parts.Consume(t.Context(), s.Brokers, p.Prefix, 500, time.Millisecond)
		require.Positive(t, rate)
		return err
	}))
}

// once runs one lifecycle without pgbench.
func once(t *testing.T, adminURL, script string) {
	t.Helper()
	content, err := os.ReadFile(script)
	require.NoError(t, err)
	sql := regexp.MustCompile(`(?m)^\\set.*$`).ReplaceAllString(string(content), "")
	sql = regexp.MustCompile(`:id\b`).ReplaceAllString(sql, "1000000007")
	sql = regexp.MustCompile(`:sku\b`).ReplaceAllString(sql, "7")
	conn, err := pgx.Connect(t.Context(), adminURL)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.PgConn().Exec(t.Context(), sql).ReadAll()
	require.NoError(t, err, script)
}

const unfinishedSQL = `SELECT count(*) FROM orders.orders o
	WHERE status <> 'confirmed'
	   OR (SELECT count(*) FROM orders.order_events e WHERE e.order_id = o.order_id) <> 3
	   OR NOT EXISTS (SELECT FROM orders.order_lines l WHERE l.order_id = o.order_id)
	   OR NOT EXISTS (SELECT FROM payments.payments p WHERE p.order_id = o.order_id AND p.status = 'captured')
	   OR NOT EXISTS (SELECT FROM payments.provider_ledger g WHERE g.order_id = o.order_id)
	   OR NOT EXISTS (SELECT FROM notifications.notifications n WHERE n.order_id = o.order_id AND n.status = 'sent')`

// The lifecycle that pgbench runs is one of the product's, to its end. Each script has a database of its own.
func TestLifecyclesInSQLAreComplete(t *testing.T) {
	t.Parallel()
	s := servers(t)
	for _, script := range []string{parts.SingleStatement, parts.ManyStatements} {
		require.NoError(t, s.In(t.Context(), nil, func(p *arm.Sandbox) error {
			require.NoError(t, p.Migrate(t.Context()))
			once(t, p.AdminURL(), script)
			var rate float64
			var err error
			for seconds := 1; seconds <= 32; seconds *= 2 { // on a busy machine a second may not be enough for any lifecycle
				if rate, err = parts.Lifecycles(t.Context(), p.AdminURL(), script, seconds); err == nil || errors.Is(err, parts.ErrMissing) {
					break
				}
			}
			if !errors.Is(err, parts.ErrMissing) { // without pgbench, one lifecycle has run all the same
				require.NoError(t, err, script)
				require.Positive(t, rate)
			}
			count := func(sql string) int64 {
				n, err := p.Count(t.Context(), sql)
				require.NoError(t, err)
				return n
			}
			require.Zero(t, count(unfinishedSQL), "unfinished orders")
			placed := count(`SELECT count(*) FROM orders.orders`)
			require.Positive(t, placed)
			require.Equal(t, placed, count(`SELECT sum(sold)::bigint FROM orders.inventory`))
			return nil
		}))
	}
}
