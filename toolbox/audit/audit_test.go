package audit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/feed"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// played is a system that has played scenarios and was stopped then.
type played struct {
	adminURL string
	topics   *feed.Config
}

func play(t *testing.T) played {
	t.Helper()
	db := testkit.Database(t, migrations.Up)
	prefix := testkit.Prefix(t)
	brokers := testkit.Brokers(t)
	s, err := stack.Start(t.Context(), stack.Config{DatabaseURL: db.AdminURL, Brokers: brokers, TopicPrefix: prefix, GroupPrefix: prefix})
	require.NoError(t, err)
	env := scenario.On(s)
	env.Patience = time.Minute
	for _, sc := range []scenario.Scenario{scenario.Confirmed(), scenario.OutOfStock(), scenario.UnknownSKU(), scenario.CardDeclined(),
		scenario.SuspectedFraud(), scenario.CancelledAfterPayment(), scenario.CancelledBeforePayment(), scenario.PostedTwice(),
		scenario.ForeignMessage(), scenario.DeliveredTwice(), scenario.PoisonMessage()} {
		require.NoError(t, sc.Run(t.Context(), env))
	}
	require.NoError(t, s.Stop())
	return played{adminURL: db.AdminURL, topics: &feed.Config{OpenTime: time.Minute,
		Kafka: kafka.Config{Brokers: brokers, TopicPrefix: prefix, GroupPrefix: prefix}}}
}

// config audits the database as the role that may only read.
func (p played) config(t testing.TB, database string) audit.Config {
	t.Helper()
	url := pgdb.As(database, migrations.Auditor)
	return audit.Config{OrdersURL: url, PaymentsURL: url, NotificationsURL: url, Topics: p.topics}
}

// copied returns a copy of the database to spoil.
func (p played) copied(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(p.adminURL)
	require.NoError(t, err)
	original := strings.TrimPrefix(u.Path, "/")
	server, name := *u, "audit_"+strings.ToLower(fmt.Sprintf("%x", rand.Uint64()))
	server.Path, u.Path = "/postgres", "/"+name
	admin, err := pgx.Connect(t.Context(), server.String())
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+original)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, err)
		require.NoError(t, admin.Close(context.Background()))
	})
	return u.String()
}

func TestAuditFindsWhatDoesNotAddUp(t *testing.T) {
	t.Parallel()
	p := play(t)
	report, err := audit.Run(t.Context(), p.config(t, p.adminURL))
	require.NoError(t, err)
	for _, c := range report.Checks {
		require.Zero(t, c.Wrong, "%s: %v", c.Name, c.Examples)
	}
	require.True(t, report.Passed())
	require.Greater(t, report.Orders, int64(10))
	require.Zero(t, report.InFlight)

	one := func(table, where string) string {
		return fmt.Sprintf("ctid = (SELECT ctid FROM %s WHERE %s ORDER BY order_id LIMIT 1)", table, where)
	}
	const declined = "(SELECT min(order_id) FROM orders.orders WHERE reason = 'card_declined')"
	const charged = `INSERT INTO payments.provider_ledger (payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status, created_at)
		SELECT payment_id, order_id, order_id, user_id, amount_minor, currency, payment_method, 'charged', created_at FROM payments.payments WHERE outside AND status = 'captured'`
	outsider := func(id, status string, minor int64, currency string) string {
		reason, payment := "", "pay-"+id
		if status == "failed" {
			reason, payment = "card_declined", ""
		}
		return fmt.Sprintf(`INSERT INTO payments.payments (order_id, user_id, amount_minor, currency, payment_method, status, reason, payment_id, outside, created_at, updated_at)
			SELECT '%[1]s', 'somebody', %[2]d, '%[3]s', 'pm_card_visa', '%[4]s', '%[5]s', '%[6]s', true, created_at, updated_at FROM orders.orders LIMIT 1`,
			id, minor, currency, status, reason, payment)
	}
	for name, c := range map[string]struct {
		check, says string // without a check, all hold and the notes say so
		spoil       []string
	}{
		"a payment of another producer for no order": {"", "payments requested by other producers, for no order of ours: 3; kept of them: 12.50 EUR, 49.99 USD", []string{
			outsider("from-outside", "captured", 4999, "USD"), outsider("and-another", "captured", 1250, "EUR"), outsider("declined", "failed", 100, "USD"),
			"INSERT INTO orders.held_messages (order_id, event, topic, partition, record_offset, record_time, held_at, outside) VALUES ('from-outside', 'payment_captured', 'payments', 0, 0, now(), now() - interval '1 hour', true)",
			charged, `INSERT INTO notifications.notifications (message_id, order_id, kind, user_id, recipient, message, channel, status, next_attempt_at, requested_at, created_at, sent_at)
				SELECT 'm-1', 'told-from-outside', 'shipped', 'u', 'u@example.com', 'It is on its way.', 'email', 'sent', at, at, at, at FROM (SELECT now() - interval '1 hour' AS at) AS earlier`}},
		"an order whose id such a payment has": {"", "payments requested by other producers, for no order of ours: 1; kept of them: 49.99 USD", []string{
			"DELETE FROM payments.payments WHERE order_id = " + declined, "DELETE FROM payments.provider_ledger WHERE order_id = " + declined,
			strings.Replace(outsider("x", "captured", 4999, "USD"), "'x'", declined, 1),
			charged}},
		"a lost order": {"strangers", "has a payment", []string{
			"DELETE FROM orders.order_events WHERE order_id = (SELECT min(order_id) FROM orders.orders WHERE status = 'confirmed' AND stock = 'none')",
			"DELETE FROM orders.orders WHERE order_id = (SELECT min(order_id) FROM orders.orders WHERE status = 'confirmed' AND stock = 'none')"}},
		"a second charge": {"charges", "charged 2 times", []string{`INSERT INTO payments.provider_ledger
			(payment_id, idempotency_key, order_id, user_id, amount_minor, currency, payment_method, status)
			SELECT 'pay_2', 'again', order_id, user_id, amount_minor, currency, payment_method, status
			FROM payments.provider_ledger WHERE status = 'charged' LIMIT 1`}},
		"a charge nobody knows":         {"charges", "payments says no payment", []string{"DELETE FROM payments.payments WHERE " + one("payments.payments", "status = 'captured'")}},
		"money kept":                    {"outcome", "its money is kept", []string{"UPDATE payments.payments SET status = 'captured', reason = '' WHERE " + one("payments.payments", "status = 'refunded'")}},
		"money given back":              {"charges", "payments says captured", []string{"UPDATE payments.provider_ledger SET status = 'refunded', refunded_at = now() - interval '1 hour' WHERE " + one("payments.provider_ledger", "status = 'charged'")}},
		"another amount":                {"money", "confirmed orders come to", []string{"UPDATE orders.orders SET total_minor = total_minor + 1 WHERE " + one("orders.orders", "status = 'confirmed'")}},
		"stock sold twice":              {"stock", "(orders: ", []string{"UPDATE orders.inventory SET sold = sold + 1, available = available - 1 WHERE sku = 'record-brush'"}},
		"a notification lost":           {"notified", "no email was requested", []string{"DELETE FROM notifications.notifications WHERE " + one("notifications.notifications", "kind = 'confirmed'")}},
		"one not sent":                  {"notified", "is not sent", []string{"UPDATE notifications.notifications SET status = 'pending', sent_at = NULL, created_at = now() - interval '1 hour' WHERE " + one("notifications.notifications", "kind = 'failed'")}},
		"another one":                   {"notified", "its email says rejected", []string{"UPDATE notifications.notifications SET kind = 'rejected' WHERE " + one("notifications.notifications", "kind = 'confirmed'")}},
		"a fraud alert without a cause": {"notified", "its email says fraud_alert", []string{"UPDATE notifications.notifications SET kind = 'fraud_alert' WHERE " + one("notifications.notifications", "kind = 'rejected'")}},
		"a gap in a timeline":           {"timeline", "numbered up to", []string{"DELETE FROM orders.order_events WHERE number = 2 AND order_id = (SELECT min(order_id) FROM orders.orders WHERE status = 'confirmed')"}},
		"another end":                   {"timeline", "of its timeline says", []string{"UPDATE orders.order_events SET status_to = 'failed' WHERE number = 3 AND order_id = (SELECT min(order_id) FROM orders.orders WHERE status = 'confirmed')"}},
		"an outbox row":                 {"outbox", "row ", []string{"INSERT INTO orders.outbox (topic, value, headers, created_at) VALUES ('orders', '', '[]', now() - interval '1 minute')"}},
		"overdue":                       {"overdue", "due since", []string{"UPDATE orders.orders SET status = 'pending', stock = 'none', reason = '', due_at = now() - interval '1 hour' WHERE " + one("orders.orders", "status = 'failed' AND total_minor > 0")}},
		"parked":                        {"parked", "not_json", []string{"UPDATE orders.dead_letters SET state = 'parked' WHERE reason = 'not_json'"}},
		"kept aside":                    {"parked", "held: ", []string{"INSERT INTO orders.held_messages (order_id, event, topic, partition, record_offset, record_time, held_at) VALUES ('x', 'payment_captured', 'payments', 0, 0, now(), now() - interval '1 hour')"}},
		"another story":                 {"topics", "the topics say", []string{"UPDATE orders.orders SET status = 'cancelled', reason = 'x', stock = 'none' WHERE " + one("orders.orders", "status = 'confirmed'")}},
		"another content": {"topics", "and its order_confirmed has other content", []string{
			"UPDATE orders.order_lines SET quantity = quantity + 1 WHERE " + one("orders.order_lines", "order_id IN (SELECT order_id FROM orders.orders WHERE status = 'confirmed')")}},
		"unknown to the topics": {"topics", "do not know it", []string{
			"UPDATE notifications.notifications SET order_id = 'renamed' WHERE order_id = (SELECT min(order_id) FROM orders.orders WHERE status = 'failed' AND reason = 'card_declined')",
			"INSERT INTO orders.orders SELECT 'renamed', user_id, total_minor, currency, payment_method, email, status, reason, stock, payment_id, late_payment, decided_by, version, created_at, updated_at, status_at, due_at, nudges, trace_parent FROM orders.orders WHERE order_id = (SELECT min(order_id) FROM orders.orders WHERE status = 'failed' AND reason = 'card_declined')"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := p.copied(t)
			admin, err := pgx.Connect(t.Context(), database)
			require.NoError(t, err)
			for _, statement := range c.spoil {
				tag, err := admin.Exec(t.Context(), statement)
				require.NoError(t, err, statement)
				require.NotZero(t, tag.RowsAffected(), statement)
			}
			require.NoError(t, admin.Close(t.Context()))
			report, err := audit.Run(t.Context(), p.config(t, database))
			require.NoError(t, err)
			if c.check == "" {
				for _, check := range report.Checks {
					require.Zero(t, check.Wrong, "%s: %v", check.Name, check.Examples)
					if check.Name == "strangers" && c.says != "" {
						require.Equal(t, []string{c.says}, check.Notes)
					}
				}
				return
			}
			require.False(t, report.Passed())
			for _, check := range report.Checks {
				if check.Name == c.check {
					require.NotZero(t, check.Wrong)
					require.Contains(t, strings.Join(check.Examples, "\n"), c.says)
				}
			}
		})
	}
}

// A customer may cancel an order in the moment in which payments suspects it: the alert is right all the same.
func TestAFraudAlertMayBeAboutACancelledOrder(t *testing.T) {
	t.Parallel()
	p := play(t)
	admin, err := pgx.Connect(t.Context(), p.adminURL)
	require.NoError(t, err)
	const suspected = `(SELECT min(order_id) FROM payments.payments WHERE reason = 'suspected_fraud')`
	for _, statement := range []string{
		"UPDATE orders.orders SET status = 'cancelled', reason = 'cancelled_by_user' WHERE order_id = " + suspected,
		"UPDATE notifications.notifications SET kind = 'cancelled' WHERE kind = 'failed' AND order_id = " + suspected,
	} {
		tag, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
		require.NotZero(t, tag.RowsAffected(), statement)
	}
	require.NoError(t, admin.Close(t.Context()))
	report, err := audit.Run(t.Context(), p.config(t, p.adminURL))
	require.NoError(t, err)
	for _, check := range report.Checks {
		if check.Name == "notified" {
			require.Empty(t, check.Examples)
		}
	}
}

// TestAuditNamesWhatWasDeletedFromTheTopics and accuses no order because of it, but one that the topics should know.
func TestAuditNamesWhatWasDeletedFromTheTopics(t *testing.T) {
	t.Parallel()
	p := play(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(p.topics.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer client.Close()
	admin := kadm.NewClient(client)
	payments := p.topics.Kafka.TopicPrefix + "payments"
	ends, err := admin.ListEndOffsets(t.Context(), payments)
	require.NoError(t, err)
	deleted, err := admin.DeleteRecords(t.Context(), ends.Offsets())
	require.NoError(t, err)
	require.NoError(t, deleted.Error())

	check := func() *audit.Check {
		report, err := audit.Run(t.Context(), p.config(t, p.adminURL))
		require.NoError(t, err)
		last := report.Checks[len(report.Checks)-1]
		require.Equal(t, "topics", last.Name)
		return last
	}
	found := check()
	require.Zero(t, found.Wrong, found.Examples)
	require.Positive(t, found.Unjudged)
	require.Len(t, found.Notes, 2)
	require.Regexp(t, `^records were deleted, by retention or by hand: payments/\d begins at offset `, found.Notes[0], "the keys decide which partitions had any")
	require.Contains(t, found.Notes[1], "orders are not judged by the topics")

	db, err := pgx.Connect(t.Context(), p.adminURL)
	require.NoError(t, err)
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	for partition := range int32(3) { // from now on the topics have all of it again
		require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: payments, Partition: partition, Value: []byte("{}")}).FirstErr())
	}
	_, err = db.Exec(t.Context(), `UPDATE orders.orders SET created_at = now() + interval '1 minute' WHERE order_id =
		(SELECT min(order_id) FROM orders.orders WHERE status = 'confirmed')`)
	require.NoError(t, err)
	require.EqualValues(t, 1, check().Wrong)
}

// What changed within the grace is not judged; an order that only the topics know is.
func TestAuditOfASystemAtWork(t *testing.T) {
	t.Parallel()
	p := play(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(p.topics.Kafka.Brokers...))
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: p.topics.Kafka.TopicPrefix + "orders",
		Value: []byte(`{"order_id":"nobody-read-it","user_id":7,"total":1}`)}).FirstErr())

	cfg := p.config(t, p.adminURL)
	cfg.Grace = time.Hour
	report, err := audit.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, report.Orders, report.InFlight)

	// A program that may write to the topic orders can claim an outcome, even one of an order that does not exist.
	db, err := pgx.Connect(t.Context(), p.adminURL)
	require.NoError(t, err)
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	var declined string
	require.NoError(t, db.QueryRow(t.Context(), `SELECT min(order_id) FROM orders.orders WHERE reason = 'card_declined'`).Scan(&declined))
	require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: p.topics.Kafka.TopicPrefix + "orders", Key: []byte(declined),
		Value: fmt.Appendf(nil, `{"event":"order_confirmed","order_id":%q,"user_id":"u","total":1,"payment_id":"p","step":"x"}`, declined)},
		&kgo.Record{Topic: p.topics.Kafka.TopicPrefix + "orders",
			Value: []byte(`{"event":"order_confirmed","order_id":"nobody-placed-it","user_id":"u","total":1,"payment_id":"p","step":"x"}`)}).FirstErr())

	cfg.Grace = 0
	report, err = audit.Run(t.Context(), cfg)
	require.NoError(t, err)
	last := report.Checks[len(report.Checks)-1]
	require.Equal(t, "topics", last.Name)
	require.ElementsMatch(t, []string{declined + " is failed, and the topics have order_confirmed of it",
		"nobody-read-it is pending on the topics, and there is no such order",
		"nobody-placed-it has order_confirmed on the topics, and there is no such order"}, last.Examples)
}
