package replay_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/replay"
)

// ageSQL makes everything 300 days older.
const ageSQL = `UPDATE orders.orders SET created_at = created_at - interval '300 days', updated_at = updated_at - interval '300 days';
UPDATE payments.payments SET created_at = created_at - interval '300 days', updated_at = updated_at - interval '300 days';
UPDATE payments.provider_ledger SET created_at = created_at - interval '300 days', refunded_at = refunded_at - interval '300 days';
UPDATE notifications.notifications SET created_at = created_at - interval '300 days', sent_at = sent_at - interval '300 days',
  failed_at = failed_at - interval '300 days'`

// The topics still have everything of orders that retention has removed. All services read them again from their beginning.
func TestAReplayTakesNothingOfRemovedOrdersAnew(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrations.Up)
	prefix := testkit.Prefix(t)
	s, err := stack.Start(t.Context(), stack.Config{DatabaseURL: db.AdminURL, Brokers: testkit.Brokers(t), TopicPrefix: prefix, GroupPrefix: prefix,
		Environ: map[string]string{"RETENTION_ORDERS": "200h", "RETENTION_PAYMENTS": "200h", "RETENTION_LEDGER": "200h", "RETENTION_NOTIFICATIONS": "200h"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	conn, err := pgx.Connect(t.Context(), db.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	w := &world{s, t, prefix, conn}
	w.play()
	w.nothingOnItsWay()
	mails := len(w.Emails())

	w.exec(ageSQL)
	for _, service := range messages.Services() { // a start begins with a pass
		require.NoError(t, w.StopService(t.Context(), service))
		require.NoError(t, w.StartService(t.Context(), service))
	}
	testkit.Eventually(t, func() error {
		if left := w.left(); left != "0 0 0 0" {
			return errors.New("orders, payments, entries and texts are left: " + left)
		}
		return nil
	})
	w.auditIsClean()

	for _, service := range messages.Services() {
		report, err := replay.Run(t.Context(), w.config(service))
		require.NoError(t, err, service)
		require.Positive(t, report.Handled, service)
		require.True(t, report.Comparison.Equal(), "%s: %+v", service, report.Comparison.Differences)
		w.caughtUp(service)
	}
	require.Equal(t, "0 0 0 0", w.left(), "nothing came back, and nobody was charged")
	require.Len(t, w.Emails(), mails, "no email was sent")
	w.auditIsClean()

	// New orders go their way beside them.
	w.scarce("after-the-removal")
	w.order("new", "after-the-removal", "confirmed")
}

// left counts orders, payments, entries of the provider's ledger, and notifications with a text.
func (w *world) left() (counts string) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT concat_ws(' ', (SELECT count(*) FROM orders.orders), (SELECT count(*) FROM payments.payments),
		(SELECT count(*) FROM payments.provider_ledger), (SELECT count(*) FROM notifications.notifications WHERE message <> ''))`).Scan(&counts))
	return counts
}

// auditIsClean expects that every check holds, with the topics and without.
func (w *world) auditIsClean() {
	w.t.Helper()
	url := pgdb.As(w.AdminURL(), migrations.Auditor)
	for _, topics := range []*feed.Config{nil, {OpenTime: time.Minute,
		Kafka: kafka.Config{Brokers: w.Brokers(), TopicPrefix: w.prefix, GroupPrefix: w.prefix}}} {
		testkit.Eventually(w.t, func() error {
			report, err := audit.Run(w.t.Context(), audit.Config{OrdersURL: url, PaymentsURL: url, NotificationsURL: url, Topics: topics})
			if err != nil {
				return err
			}
			for _, c := range report.Checks {
				if c.Wrong > 0 {
					err = errors.Join(err, fmt.Errorf("%s: %v", c.Name, c.Examples))
				}
			}
			return err
		})
	}
}

// Retention may remove an order while the topics are read again. That is nothing that the replay did.
func TestAnOrderThatIsRemovedDuringAReplayIsNoDifference(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	w.nothingOnItsWay()
	var id string
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT min(order_id) FROM orders.orders WHERE status = 'failed' AND reason = 'card_declined'`).Scan(&id))
	remove := func() {
		for _, table := range []string{"order_events", "order_lines", "orders"} {
			_, err := w.db.Exec(t.Context(), `DELETE FROM orders.`+table+` WHERE order_id = $1`, id)
			require.NoError(t, err)
		}
		_, err := w.db.Exec(t.Context(), `INSERT INTO orders.removed_orders VALUES ($1)`, retention.ID(id))
		require.NoError(t, err)
	}
	cfg := w.config(messages.ServiceOrders)
	cfg.Progress = when("moved", remove)
	report, err := replay.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.True(t, report.Comparison.Equal(), "%+v", report.Comparison.Differences)
	require.Positive(t, report.Comparison.MovedOn)
}
