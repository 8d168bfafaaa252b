package audit_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/feed"
)

// What became of order n is said by n % 100: 0 to 2 were rejected, 3 to 6 declined, 7 is suspected of fraud, 8 to 10 were
// cancelled after they were paid, the others are confirmed. Each is over one record brush; ids ascend with time, as ours do.
const generateSQL = `
CREATE TEMP TABLE made AS
SELECT n, '01a1fd79-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS id, 'user-' || n % 5000 AS who, 'pay_' || lpad(to_hex(n), 26, '0') AS pay,
  now() - interval '1 hour' + n * interval '1 ms' AS at,
  CASE WHEN n % 100 < 3 THEN 'rejected' WHEN n % 100 < 8 THEN 'failed' WHEN n % 100 < 11 THEN 'cancelled' ELSE 'confirmed' END AS status,
  CASE WHEN n % 100 < 3 THEN 'out_of_stock' WHEN n % 100 < 7 THEN 'card_declined' WHEN n % 100 = 7 THEN 'suspected_fraud'
    WHEN n % 100 < 11 THEN 'cancelled_by_user' ELSE '' END AS reason
FROM generate_series(0, $1 - 1) AS n;

INSERT INTO orders.orders (order_id, user_id, total_minor, currency, status, reason, stock, payment_id, decided_by, version, created_at, updated_at, status_at)
SELECT id, who, 1290, 'USD', status, reason, CASE status WHEN 'confirmed' THEN 'sold' ELSE 'none' END,
  CASE WHEN status IN ('confirmed', 'cancelled') THEN pay ELSE '' END, 'generated',
  CASE status WHEN 'rejected' THEN 2 WHEN 'cancelled' THEN 5 ELSE 3 END, at, at, at FROM made;
INSERT INTO orders.order_lines (order_id, line, sku, quantity, unit_price_minor) SELECT id, 1, 'record-brush', 1, 1290 FROM made;
INSERT INTO orders.order_events (order_id, number, event, status_from, status_to, at)
SELECT id, number, 'generated', COALESCE(path[number - 1], ''), path[number], at
FROM (SELECT id, at, CASE status WHEN 'rejected' THEN ARRAY['pending', status]
    WHEN 'cancelled' THEN ARRAY['pending', 'awaiting_payment', 'confirmed', 'cancelling', status]
    ELSE ARRAY['pending', 'awaiting_payment', status] END AS path FROM made) AS paths,
  generate_subscripts(path, 1) AS number;
UPDATE orders.inventory SET sold = (SELECT count(*) FROM made WHERE status = 'confirmed'),
  stocked = available + reserved + (SELECT count(*) FROM made WHERE status = 'confirmed') WHERE sku = 'record-brush';

INSERT INTO payments.payments (order_id, user_id, amount_minor, currency, payment_method, status, reason, payment_id, created_at, updated_at)
SELECT id, who, 1290, 'USD', 'pm_card_visa', CASE status WHEN 'confirmed' THEN 'captured' WHEN 'cancelled' THEN 'refunded' ELSE 'failed' END,
  reason, CASE WHEN status IN ('confirmed', 'cancelled') THEN pay ELSE '' END, at, at FROM made WHERE status <> 'rejected';
INSERT INTO payments.provider_ledger (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status,
  decline_reason, created_at, refunded_at)
SELECT pay, id, id, who, 1290, 'USD', 'pm_card_visa', CASE status WHEN 'confirmed' THEN 'charged' WHEN 'cancelled' THEN 'refunded' ELSE 'declined' END,
  CASE status WHEN 'failed' THEN reason ELSE '' END, at, CASE status WHEN 'cancelled' THEN at END
FROM made WHERE status <> 'rejected' AND reason <> 'suspected_fraud';

INSERT INTO notifications.notifications (message_id, order_id, kind, user_id, recipient, message, channel, status, next_attempt_at, requested_at, created_at, sent_at)
SELECT id || kind, id, kind, who, who || '@example.com', 'Order ' || id || ' ' || kind || '!', 'email', 'sent', at, at, at, at
FROM made, unnest(CASE WHEN status = 'cancelled' THEN ARRAY['confirmed', status] WHEN reason = 'suspected_fraud' THEN ARRAY[status, 'fraud_alert']
  ELSE ARRAY[status] END) AS kind;
DROP TABLE made;
ANALYZE`

// generate makes a system on which n orders have ended: in the databases, and when asked every message of them on the
// topics.
func generate(t testing.TB, n int, topics bool) played {
	t.Helper()
	p := generateRows(t, n)
	if topics {
		p.topics = &feed.Config{OpenTime: time.Minute, Kafka: kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: testkit.Prefix(t)}}
		var events []messages.Event
		for order := range n {
			events = append(events, eventsOf(order)...)
		}
		writeMessages(t, p.topics.Kafka, events)
	}
	return p
}

func generateRows(t testing.TB, n int) played {
	t.Helper()
	database := testkit.Database(t, migrations.Up)
	admin, err := pgx.Connect(t.Context(), database.AdminURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(context.Background())) }()
	_, err = admin.Exec(t.Context(), strings.ReplaceAll(generateSQL, "$1", strconv.Itoa(n))) // many statements take no parameters
	require.NoError(t, err)
	return played{adminURL: database.AdminURL}
}

// writeMessages writes the events, each with a time from before all generated orders.
func writeMessages(t testing.TB, cfg kafka.Config, events []messages.Event) {
	t.Helper()
	_, err := kafka.CreateTopics(t.Context(), cfg, stack.Topics(1))
	require.NoError(t, err)
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ProducerLinger(20*time.Millisecond),
		kgo.ProducerBatchMaxBytes(100_000)) // the topics take no larger batch than 128 KiB
	require.NoError(t, err)
	defer client.Close()
	var lost atomic.Pointer[error]
	at := time.Now().Add(-2 * time.Hour)
	for number, event := range events {
		r, err := messages.Message{ID: strconv.Itoa(number), Source: "generated", Time: at, Event: event}.Record()
		require.NoError(t, err)
		record := &kgo.Record{Topic: cfg.TopicPrefix + r.Topic, Key: r.Key, Value: r.Value, Timestamp: r.Time}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		client.Produce(t.Context(), record, func(_ *kgo.Record, err error) {
			if err != nil {
				lost.Store(&err)
			}
		})
	}
	require.NoError(t, client.Flush(t.Context()))
	if err := lost.Load(); err != nil {
		require.NoError(t, *err)
	}
}

// eventsOf are the messages about generated order n, as a version without outcome events wrote them.
func eventsOf(n int) []messages.Event {
	id, who, pay := fmt.Sprintf("01a1fd79-0000-7000-8000-%012x", n), fmt.Sprintf("user-%d", n%5000), fmt.Sprintf("pay_%026x", n)
	cost := messages.Money{Minor: 1290, Currency: "USD"}
	items := []messages.Item{{SKU: "record-brush", Quantity: 1, UnitPrice: &cost}}
	told := func(kind string) messages.Event {
		return messages.NotificationRequested{UserID: who, OrderID: id, Kind: kind, Channel: "email", Message: "Order " + id + " " + kind + "!"}
	}
	events := []messages.Event{messages.OrderPlaced{OrderID: id, UserID: who, Total: cost, HasTotal: true, Items: items}}
	if n%100 < 3 {
		return append(events, messages.OrderRejected{OrderID: id, UserID: who, Total: cost, Items: items, Reason: "out_of_stock"}, told(messages.KindRejected))
	}
	events = append(events, messages.PaymentRequested{OrderID: id, UserID: who, Amount: cost, PaymentMethod: "pm_card_visa"})
	switch {
	case n%100 < 7:
		return append(events, messages.PaymentFailed{OrderID: id, UserID: who, Total: cost, Reason: "card_declined"}, told(messages.KindFailed))
	case n%100 < 8:
		return append(events, messages.PaymentFailed{OrderID: id, UserID: who, Total: cost, Reason: "suspected_fraud"},
			told(messages.KindFraudAlert), told(messages.KindFailed))
	}
	events = append(events, messages.PaymentCaptured{OrderID: id, UserID: who, Amount: cost, PaymentID: pay}, told(messages.KindConfirmed))
	if n%100 < 11 {
		events = append(events, messages.RefundRequested{OrderID: id, UserID: who, Amount: cost, Reason: "cancelled_by_user"},
			messages.PaymentRefunded{OrderID: id, UserID: who, Amount: cost, PaymentID: pay}, told(messages.KindCancelled))
	}
	return events
}

// TestAuditOfGeneratedOrders holds the generator to what the services would leave, and the audit to looking at all of it.
func TestAuditOfGeneratedOrders(t *testing.T) {
	t.Parallel()
	const n = 3_000
	p := generate(t, n, true)
	report, err := audit.Run(t.Context(), p.config(t, p.adminURL))
	require.NoError(t, err)
	require.EqualValues(t, n, report.Orders)
	require.Zero(t, report.InFlight)
	for _, c := range report.Checks {
		require.Zero(t, c.Wrong, "%s: %v", c.Name, c.Examples)
	}
}

// outcomesOf are the outcome events of generated order n. Its row says that a step called generated decided it.
func outcomesOf(n int) []messages.Event {
	const step = "generated"
	id, who, pay := fmt.Sprintf("01a1fd79-0000-7000-8000-%012x", n), fmt.Sprintf("user-%d", n%5000), fmt.Sprintf("pay_%026x", n)
	cost := messages.Money{Minor: 1290, Currency: "USD"}
	items := []messages.Item{{SKU: "record-brush", Quantity: 1, UnitPrice: &cost}}
	switch {
	case n%100 < 3:
		return nil
	case n%100 < 7:
		return []messages.Event{messages.OrderFailed{OrderID: id, UserID: who, Total: cost, Items: items, Reason: "card_declined", Step: step}}
	case n%100 < 8:
		return []messages.Event{messages.OrderFailed{OrderID: id, UserID: who, Total: cost, Items: items, Reason: "suspected_fraud", Step: step}}
	}
	confirmed := messages.OrderConfirmed{OrderID: id, UserID: who, Total: cost, Items: items, PaymentID: pay, Step: step}
	if n%100 < 11 {
		return []messages.Event{confirmed, messages.OrderCancelled{OrderID: id, UserID: who, Total: cost, Items: items, PaymentID: pay,
			Reason: "cancelled_by_user", Step: step}}
	}
	return []messages.Event{confirmed}
}

// An older version published no outcomes. One that is published again for an old order, with the time of its decision,
// accuses no order that was placed before it. A newer order without its outcome is accused.
func TestAuditAsksOldOrdersForNoOutcome(t *testing.T) {
	t.Parallel()
	const old, redelivered, n = 300, 11, 600
	lost := map[int]bool{503: true, 508: true, 550: true} // failed, cancelled, confirmed
	p := generateRows(t, n)
	check := func(lost map[int]bool) *audit.Check {
		var events []messages.Event
		for order := range n {
			if order == old {
				events = append(events, outcomesOf(redelivered)...)
			}
			events = append(events, eventsOf(order)...)
			if order >= old && !lost[order] {
				events = append(events, outcomesOf(order)...)
			}
		}
		p.topics = &feed.Config{OpenTime: time.Minute, Kafka: kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: testkit.Prefix(t)}}
		writeMessages(t, p.topics.Kafka, events)
		report, err := audit.Run(t.Context(), p.config(t, p.adminURL))
		require.NoError(t, err)
		require.EqualValues(t, n, report.Orders)
		last := report.Checks[len(report.Checks)-1]
		require.Equal(t, "topics", last.Name)
		return last
	}
	found := check(nil)
	require.Zero(t, found.Wrong, found.Examples)
	found = check(lost)
	require.EqualValues(t, len(lost), found.Wrong)
	require.Equal(t, []string{
		"01a1fd79-0000-7000-8000-0000000001f7 is failed, and the topics have no order_failed of it",
		"01a1fd79-0000-7000-8000-0000000001fc is cancelled, and the topics have no order_cancelled of it",
		"01a1fd79-0000-7000-8000-000000000226 is confirmed, and the topics have no order_confirmed of it",
	}, found.Examples)
}
