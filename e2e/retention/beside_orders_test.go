// Package retention_test measures what the removal of old rows costs the orders beside it: `make bench FORM=retention`.
package retention_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/client"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// bench is a running system, beside whose orders old ones are removed.
type bench struct {
	*testing.B
	*stack.Stack
	db   *pgx.Conn // as superuser
	http *client.Client
}

// BenchmarkRetention measures how long requests take at 100 orders a second, without a sweep and while old orders are removed, and
// whether VACUUM makes the room free. PAS_RETENTION_ORDERS says how many old orders there are, KAFKA_BROKERS names a real Kafka.
func BenchmarkRetention(b *testing.B) {
	old, baseline := 2_000, 10*time.Second
	if given := os.Getenv("PAS_RETENTION_ORDERS"); given != "" {
		var err error
		old, err = strconv.Atoi(given)
		require.NoError(b, err)
		baseline = 30 * time.Second
	}
	environ := map[string]string{"RETENTION_LETTERS": "720h"}
	cfg := stack.Config{Durable: true, Environ: environ}
	if brokers := os.Getenv("KAFKA_BROKERS"); brokers != "" {
		prefix := fmt.Sprintf("retention-%d.", time.Now().UnixNano())
		cfg.Brokers, cfg.TopicPrefix, cfg.GroupPrefix = strings.Split(brokers, ","), prefix, prefix
	}
	s, err := stack.Start(b.Context(), cfg)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Stop()) })
	db, err := pgx.Connect(b.Context(), s.AdminURL())
	require.NoError(b, err)
	b.Cleanup(func() { _ = db.Close(context.WithoutCancel(b.Context())) })
	w := &bench{B: b, Stack: s, db: db, http: s.Client()}

	w.exec(`INSERT INTO orders.inventory (sku, name, price_minor, currency, available, stocked, announced)
		VALUES ('fresh', 'Fresh', 500, 'USD', 1000000, 1000000, true), ('old', 'Old', 500, 'USD', 1, 1, true)`)
	w.fill("first", old)
	full := w.bytes()
	w.load("warming up", func(since time.Duration) bool { return since > 10*time.Second })
	w.load("without a sweep", func(since time.Duration) bool { return since > baseline })

	for _, name := range []string{"ORDERS", "PAYMENTS", "LEDGER", "NOTIFICATIONS"} {
		environ["RETENTION_"+name] = "200h"
	}
	for _, service := range messages.Services() { // a start begins with a pass
		require.NoError(b, s.StopService(b.Context(), service))
		require.NoError(b, s.StartService(b.Context(), service))
	}
	began := time.Now()
	w.load("while old orders are removed", func(since time.Duration) bool { return since > 10*time.Second && w.left() == 0 })
	took := time.Since(began)
	b.ReportMetric(float64(old)/took.Seconds(), "removed/s")
	b.Logf("removed %d orders, payments, entries and texts in %s", old, took.Round(time.Second))
	w.load("afterwards", func(since time.Duration) bool { return since > baseline/2 })

	report, err := audit.Run(b.Context(), audit.Config{OrdersURL: s.AuditorURL(), PaymentsURL: s.AuditorURL(), NotificationsURL: s.AuditorURL(), Grace: 5 * time.Second})
	require.NoError(b, err)
	for _, c := range report.Checks {
		require.Zero(b, c.Wrong, "%s: %v", c.Name, c.Examples)
	}

	// The same number of orders again must fit into the room that is free now. Postgres uses the pages of an index that a VACUUM
	// found empty after the next one, as autovacuum comes by again and again.
	for range 2 {
		for _, table := range slices.Sorted(maps.Keys(full)) {
			w.exec(`VACUUM ` + table)
		}
		w.load("between", func(since time.Duration) bool { return since > 3*time.Second })
	}
	free := w.bytes()
	w.fill("second", old)
	again := w.bytes()
	for _, table := range slices.Sorted(maps.Keys(full)) {
		b.Logf("%-32s %7.1f MiB with the old orders, %7.1f MiB after their removal and VACUUM, %7.1f MiB with as many again",
			table, full[table], free[table], again[table])
	}
}

// fill makes settled orders that are 300 days old, with all that belongs to them.
func (w *bench) fill(name string, n int) {
	w.Helper()
	w.exec(`DROP TABLE IF EXISTS old`)
	_, err := w.db.Exec(w.Context(), `CREATE TEMP TABLE old AS
		SELECT $1 || '-' || lpad(n::text, 32, '0') AS id, now() - interval '300 days' - n * interval '1 second' AS at
		FROM generate_series(1, $2::int) AS n`, name, n)
	require.NoError(w, err)
	w.exec(`UPDATE orders.inventory SET stocked = stocked + (SELECT count(*) FROM old), sold = sold + (SELECT count(*) FROM old), version = version + 1,
			announced = true WHERE sku = 'old'`)
	w.exec(`INSERT INTO orders.orders (order_id, user_id, total_minor, currency, email, status, stock, payment_id, decided_by, version, created_at, updated_at, status_at, trace_parent)
		SELECT id, 'user-' || id, 500, 'USD', id || '@example.com', 'confirmed', 'sold', 'pay_' || id, 'payment_captured', 3, at, at, at, '00-' || md5(id) || '-0123456789abcdef-01' FROM old`)
	w.exec(`INSERT INTO orders.order_lines SELECT id, 1, 'old', 1, 500 FROM old`)
	w.exec(`INSERT INTO orders.order_events SELECT id, 1, 'order_placed', '', 'pending', '', at FROM old
		UNION ALL SELECT id, 2, 'payment_requested', 'pending', 'awaiting_payment', 'stock reserved', at FROM old
		UNION ALL SELECT id, 3, 'payment_captured', 'awaiting_payment', 'confirmed', 'payment pay_' || id, at FROM old`)
	w.exec(`INSERT INTO payments.payments (order_id, user_id, amount_minor, currency, payment_method, status, payment_id, created_at, updated_at)
		SELECT id, 'user-' || id, 500, 'USD', 'pm_card_visa', 'captured', 'pay_' || id, at, at FROM old`)
	w.exec(`INSERT INTO payments.provider_ledger (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status, created_at)
		SELECT 'pay_' || id, id, id, 'user-' || id, 500, 'USD', 'pm_card_visa', 'charged', at FROM old`)
	w.exec(`INSERT INTO notifications.notifications (message_id, order_id, kind, user_id, recipient, message, channel, status, attempts, next_attempt_at, requested_at, created_at, sent_at)
		SELECT id, id, 'confirmed', 'user-' || id, id || '@example.com', 'Order ' || id || ' confirmed!', 'email', 'sent', 1, at, at, at, at FROM old ORDER BY at`)
	for _, table := range slices.Sorted(maps.Keys(w.bytes())) {
		w.exec(`VACUUM ANALYZE ` + table)
	}
}

func (w *bench) exec(sql string) {
	w.Helper()
	_, err := w.db.Exec(w.Context(), sql)
	require.NoError(w, err, sql)
}

// left returns 0 once no old order, payment, entry or text is left.
func (w *bench) left() (n int) {
	w.Helper()
	require.NoError(w, w.db.QueryRow(w.Context(), `SELECT
		(SELECT count(*) FROM (SELECT FROM orders.orders WHERE created_at < now() - interval '200 days' LIMIT 1) o)
		+ (SELECT count(*) FROM (SELECT FROM payments.payments WHERE created_at < now() - interval '200 days' LIMIT 1) p)
		+ (SELECT count(*) FROM (SELECT FROM payments.provider_ledger WHERE created_at < now() - interval '200 days' LIMIT 1) l)
		+ (SELECT count(*) FROM (SELECT FROM notifications.notifications WHERE created_at < now() - interval '200 days' AND recipient <> '' LIMIT 1) n)`).Scan(&n))
	return n
}

// bytes returns the size of each table that grows with orders, in MiB.
func (w *bench) bytes() map[string]float64 {
	w.Helper()
	sizes := map[string]float64{}
	for _, table := range []string{"orders.orders", "orders.order_lines", "orders.order_events", "payments.payments", "payments.provider_ledger",
		"notifications.notifications", "orders.removed_orders", "payments.removed_payments"} {
		var size float64
		require.NoError(w, w.db.QueryRow(w.Context(), `SELECT pg_total_relation_size($1::text::regclass) / 1048576.0`, table).Scan(&size))
		sizes[table] = size
	}
	return sizes
}

// load places 100 orders a second until it is over, at fixed times, and reports how long the answers took and the orders.
func (w *bench) load(name string, over func(since time.Duration) bool) {
	w.Helper()
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	var waiting sync.WaitGroup
	for done := false; !done; {
		select {
		case <-look.C:
			done = over(time.Since(began))
		case <-tick.C:
			waiting.Go(func() {
				at := time.Now()
				_, _, err := w.http.Place(w.Context(), client.NewOrder{UserID: "u", Items: []client.NewItem{{SKU: "fresh", Quantity: 1}}}, client.PlaceOptions{})
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(at))
				if err != nil {
					failed = err
				}
			})
		}
	}
	waiting.Wait()
	require.NoError(w, failed)
	slices.Sort(took)
	part := func(p float64) time.Duration { return took[int(p*float64(len(took)-1))].Round(100 * time.Microsecond) }
	var p50, p99 float64
	require.NoError(w, w.db.QueryRow(w.Context(), `SELECT 1000 * percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM status_at - created_at)),
		1000 * percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM status_at - created_at))
		FROM orders.orders WHERE created_at >= $1 AND status = 'confirmed'`, began).Scan(&p50, &p99))
	w.Logf("%s: %d orders in %s; POST p50 %s, p99 %s, longest %s; until confirmed p50 %.1f ms, p99 %.1f ms", name, len(took),
		time.Since(began).Round(time.Second), part(0.5), part(0.99), took[len(took)-1].Round(100*time.Microsecond), p50, p99)
}
