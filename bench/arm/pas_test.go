package arm_test

import (
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/process"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestReservedPortsAreReturnedOnce(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	var lock sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			addresses, release, err := arm.Reserve(256)
			if !assert.NoError(t, err) {
				return
			}
			t.Cleanup(release)
			lock.Lock()
			defer lock.Unlock()
			for _, address := range addresses {
				_, text, err := net.SplitHostPort(address)
				assert.NoError(t, err)
				port, err := strconv.Atoi(text)
				assert.NoError(t, err)
				assert.False(t, seen[port], "given twice: %d", port)
				assert.Less(t, port, 32_768, "of outgoing connections")
				seen[port] = true
			}
		})
	}
	all.Wait()
	require.Len(t, seen, 8*256)
}

// bench is servers and the built services. Kafka is KAFKA_BROKERS, else an embedded broker.
func bench(t *testing.T) *arm.Bench {
	t.Helper()
	bin := t.TempDir()
	args := []string{"build", "-o", bin + "/"}
	for _, name := range arm.Services() {
		args = append(args, "./services/"+name+"/cmd/"+name)
	}
	_, err := process.Run(t.Context(), "../..", nil, "go", append(args, "./bench")...)
	require.NoError(t, err)
	var brokers []string
	if given := os.Getenv("KAFKA_BROKERS"); given != "" {
		brokers = strings.Split(given, ",")
	}
	s, err := arm.Open(t.Context(), brokers, "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &arm.Bench{Servers: s, Bin: bin, Logs: t.TempDir()}
}

// TestPas measures a few orders in every way. The subtests share what takes long to start.
func TestPas(t *testing.T) {
	t.Parallel()
	b := bench(t)
	few := arm.Options{Clients: 8, Seconds: 0.1, MinOrders: 20, MaxOrders: 60}

	t.Run("a closed loop is settled, costed and audited", func(t *testing.T) {
		s, err := b.Saturate(t.Context(), arm.Pas(), few)
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.Orders, 20)
		require.Positive(t, s.Settled)
		require.InDelta(t, float64(s.Orders)/s.Seconds, s.Settled, 1e-6)
		require.GreaterOrEqual(t, s.Accepted, s.Settled, "an order is taken before it is settled")
		for _, program := range append(arm.Services(), arm.Postgres) {
			require.Contains(t, s.CPUMicros, program)
		}
		require.Positive(t, s.Whole())
		require.Greater(t, s.PeakMiB["orders"], 5.0)
		require.InDelta(t, s.Orders, s.Batches["order_placed"].Sum, 0, "each order of the loop is in one batch, and the warm-up's orders are not counted")
	})

	t.Run("an open loop times each order from when it was due", func(t *testing.T) {
		err := b.With(t.Context(), arm.Pas(), few, func(r *arm.Running) error {
			placed, _, err := b.Warm(t.Context(), r, few)
			require.NoError(t, err)
			out, err := b.OpenLoop(t.Context(), r, few, placed, 30, 100)
			require.NoError(t, err)
			require.Equal(t, 30, out.Emails.N)
			require.Positive(t, out.Emails.P50)
			require.LessOrEqual(t, out.Emails.P50, out.Emails.Max)
			require.Len(t, out.Steps, 5)
			sum := 0.0
			for _, step := range out.Steps {
				require.Positive(t, step.P50, step.Name)
				sum += step.P50
			}
			require.Less(t, sum, 2*out.Emails.Max, "the steps are the way of these orders")
			return r.Audit(t.Context(), placed+30, 0)
		})
		require.NoError(t, err)
	})

	t.Run("two replicas, and more orders than pieces", func(t *testing.T) {
		const orders, pieces = 40, 15
		two := few
		two.Replicas, two.SKU = 2, arm.ScarceProduct
		err := b.With(t.Context(), arm.Pas(), two, func(r *arm.Running) error {
			require.Len(t, r.Processes, 6)
			require.NoError(t, r.Scarce(t.Context(), pieces))
			_, err := b.Loop(t.Context(), r, two, 0, orders)
			require.NoError(t, err)
			goroutines, err := r.Goroutines(t.Context())
			require.NoError(t, err)
			require.Positive(t, goroutines["payments-2"])
			return r.Audit(t.Context(), orders, orders-pieces)
		})
		require.NoError(t, err)
	})

	t.Run("the first step alone is counted", func(t *testing.T) {
		for name, a := range map[string]arm.Arm{"no-op": arm.NoOp(), "transaction": arm.Transaction(), "orders alone": arm.OrdersAlone()} {
			rate, err := b.Take(t.Context(), a, few)
			require.NoError(t, err, name)
			require.Positive(t, rate, name)
		}
	})

	t.Run("an audit finds wrong rows", func(t *testing.T) {
		frauds := map[string]string{
			"charges: 6 instead of 5":          `INSERT INTO payments.provider_ledger (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status) SELECT 'again', 'again', order_id, user_id, amount_minor, currency, '', 'charged' FROM payments.payments LIMIT 1`,
			"pieces sold: 6 instead of 5":      `UPDATE orders.inventory SET sold = sold + 1, available = available - 1 WHERE sku = 'bench-01'`,
			"cents captured":                   `UPDATE payments.payments SET amount_minor = amount_minor + 1 WHERE order_id = (SELECT min(order_id) FROM payments.payments)`,
			"messages in the outbox: 1":        `INSERT INTO orders.outbox (topic, value, headers, xid) VALUES ('orders', 'x', '[]', '9000000000000')`,
			"notifications: 6 instead of 5":    `INSERT INTO notifications.notifications (message_id, order_id, kind, user_id, recipient, message, channel, status, next_attempt_at, requested_at, sent_at) VALUES ('x', 'x', 'confirmed', 'x', 'x', 'x', 'email', 'sent', now(), now(), now())`,
			"orders confirmed: 4 instead of 5": `UPDATE orders.orders SET status = 'cancelled', reason = 'x', stock = 'none' WHERE order_id = (SELECT min(order_id) FROM orders.orders)`,
			"notifications not sent: 1":        `UPDATE notifications.notifications SET status = 'failed', reason = 'x', sent_at = NULL WHERE id = (SELECT min(id) FROM notifications.notifications)`,
			"dead letters: 1":                  `INSERT INTO payments.dead_letters (topic, partition, record_offset, record_time, reason, detail) VALUES ('t', 0, 0, now(), 'r', 'd')`,
		}
		err := b.With(t.Context(), arm.Pas(), few, func(r *arm.Running) error {
			_, err := b.Loop(t.Context(), r, few, 0, 5)
			require.NoError(t, err)
			require.NoError(t, r.Audit(t.Context(), 5, 0))
			require.NoError(t, r.Stop()) // or it would repair some of it
			for problem, fraud := range frauds {
				problems, err := r.ProblemsAfter(t.Context(), fraud, 5, 0)
				require.NoError(t, err, problem)
				require.Contains(t, strings.Join(problems, "; "), problem)
			}
			problems, err := r.ProblemsAfter(t.Context(), "SELECT", 5, 0)
			require.NoError(t, err)
			require.Empty(t, problems)
			return nil
		})
		require.NoError(t, err)
	})
}
