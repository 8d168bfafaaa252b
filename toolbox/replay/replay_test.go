package replay_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/replay"
)

func TestReadingEverythingAgainChangesNothingAndSendsAndChargesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	asked, emails := w.done()
	topics := map[string]int{client.Orders: 3, client.Payments: 1, client.Notifications: 1}
	for _, service := range messages.Services() {
		var last replay.Progress
		cfg := w.config(service)
		cfg.Progress = func(p replay.Progress) {
			if p.Step == "" {
				require.LessOrEqual(t, p.Left, p.Total)
				last = p
			}
		}
		report, err := replay.Run(t.Context(), cfg)
		require.NoError(t, err, service)
		require.True(t, report.Equal(), "%s: %v", service, report.Differences)
		require.Equal(t, report.Before, report.After)
		require.Len(t, report.Before, 64)
		require.Len(t, report.Topics, topics[service])
		require.Greater(t, report.Messages, int64(5), service)
		require.Equal(t, report.Messages, report.Handled)
		require.Equal(t, replay.Progress{Total: report.Messages, Took: last.Took}, last)
		require.Greater(t, report.Rows, int64(5), service)
		require.Zero(t, report.Unsettled+report.MovedOn, service)
		w.consuming(service)
	}
	askedAgain, emailsAgain := w.done()
	require.Equal(t, asked, askedAgain)
	require.Equal(t, emails, emailsAgain)

	order, _, err := w.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
	require.NoError(t, err)
	order, err = w.Client().Settled(t.Context(), order.OrderID)
	require.NoError(t, err)
	require.Equal(t, "confirmed", order.Status, "the system goes on")
}

func TestARowThatDiffersIsNamed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	handled := strconv.Itoa(int(w.handled()))
	for name, c := range map[string]struct {
		service, spoil, table, says string
	}{
		"another status": {client.Orders, `UPDATE orders.orders SET status = 'cancelled', reason = 'x', stock = 'none'
			WHERE order_id = (SELECT min(order_id) FROM orders.orders WHERE status = 'confirmed')`, "orders", "cancelled at change 3"},
		"another line": {client.Orders, `UPDATE orders.order_lines SET quantity = quantity + 1
			WHERE order_id = (SELECT min(order_id) FROM orders.orders JOIN orders.order_lines USING (order_id) WHERE status = 'failed')`, "orders", "failed at change 3"},
		"sold twice": {client.Orders, `UPDATE orders.inventory SET sold = sold + 1, available = available - 1 WHERE sku = 'record-brush'`,
			"inventory", "0 reserved and 1 sold beyond what orders hold"},
		"parked again": {client.Orders, `INSERT INTO orders.dead_letters (topic, partition, record_offset, record_time, reason, detail) VALUES ('payments', PARTITION, 0, now(), 'again', '')`,
			"dead_letters", "parked as again"},
		"refunded": {client.Payments, `UPDATE payments.payments SET status = 'refunded', reason = 'x' WHERE order_id = (SELECT min(order_id) FROM payments.payments WHERE status = 'captured')`,
			"payments", "refunded"},
		"asked again": {client.Payments, `UPDATE payments.provider_ledger SET charge_calls = charge_calls + 1 WHERE payment_id = (SELECT min(payment_id) FROM payments.provider_ledger WHERE status = 'charged')`,
			"provider_ledger", "asked 2 times to charge"},
		"sent again": {client.Notifications, `INSERT INTO notifications.notifications (message_id, order_id, kind, user_id, recipient, message, channel, next_attempt_at, requested_at)
			SELECT 'again', order_id, 'again', user_id, recipient, message, channel, now() + interval '1 hour', now() FROM notifications.notifications WHERE kind = 'failed' LIMIT 1`,
			"notifications", "pending, again of order"},
		"gone": {client.Notifications, `DELETE FROM notifications.notifications WHERE kind = 'rejected'`, "notifications", ""},
	} {
		t.Run(name, func(t *testing.T) { // one after the other: a service is replayed once at a time
			cfg := w.config(c.service)
			cfg.Progress = when("moved ", func() { w.spoil(strings.ReplaceAll(c.spoil, "PARTITION", handled)) })
			report, err := replay.Run(t.Context(), cfg)
			require.NoError(t, err)
			require.False(t, report.Equal())
			require.NotEqual(t, report.Before, report.After)
			require.Len(t, report.Differences, int(report.Different))
			// More may come of it: a message that is read again contradicts what was changed, and is parked.
			require.True(t, slices.ContainsFunc(report.Differences, func(d replay.Difference) bool {
				return d.Table == c.table && d.Row != "" && strings.Contains(d.Is, c.says)
			}), "%v", report.Differences)
		})
	}
}

// While a replay goes on, orders are placed, paid and cancelled: that is no difference.
func TestASystemAtWorkMovesOnMeanwhile(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	place := func() client.Order {
		order, _, err := w.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
		require.NoError(t, err)
		return order
	}
	for _, service := range messages.Services() {
		kept := place().OrderID
		w.reaches(kept, "confirmed")
		cfg := w.config(service)
		var placed string
		cfg.Progress = when("reading the state", func() { // nothing is consumed by this service now
			placed = place().OrderID
		})
		follow := cfg.Progress
		cfg.Progress = func(p replay.Progress) {
			follow(p)
			when("comparing", func() {
				_, err := w.Client().Cancel(t.Context(), kept)
				require.NoError(t, err)
				w.reaches(placed, "confirmed")
				w.reaches(kept, "cancelled")
			})(p)
		}
		report, err := replay.Run(t.Context(), cfg)
		require.NoError(t, err)
		require.True(t, report.Equal(), "%s: %v", service, report.Differences)
		require.Equal(t, report.Before, report.After)
		require.NotZero(t, report.MovedOn, service)
	}
}

func TestOnlyWhatIsAskedForIsReadAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	run := func(change func(*replay.Config)) (*replay.Report, error) {
		cfg := w.config(client.Orders)
		change(&cfg)
		report, err := replay.Run(t.Context(), cfg)
		if err == nil && report.Comparison != nil {
			require.True(t, report.Equal(), "%v", report.Differences)
		}
		return report, err
	}
	all, err := run(func(c *replay.Config) { c.Topics = []string{"payments"} })
	require.NoError(t, err)
	require.Len(t, all.Topics, 1)
	require.Equal(t, "payments", all.Topics[0].Topic)
	require.Equal(t, w.prefix+"orders.payments", all.Topics[0].Group)

	busiest := all.Topics[0].Partitions[0]
	for _, p := range all.Topics[0].Partitions {
		if p.To > busiest.To {
			busiest = p
		}
	}
	last := busiest.To - 1
	one, err := run(func(c *replay.Config) {
		c.Topics, c.Only, c.From.Offset = []string{"payments"}, busiest.Partition, &last
	})
	require.NoError(t, err)
	require.Equal(t, int64(1), one.Messages)
	require.Equal(t, []replay.Partition{{Partition: busiest.Partition, From: last, To: busiest.To}}, one.Topics[0].Partitions)

	before, err := run(func(c *replay.Config) { c.From.Time = time.Now().Add(-time.Hour) })
	require.NoError(t, err)
	require.Greater(t, before.Messages, all.Messages, "an hour ago is before the beginning, of three topics")
	none, err := run(func(c *replay.Config) { c.From.Time = time.Now() })
	require.NoError(t, err)
	require.Zero(t, none.Messages)
	require.Nil(t, none.Comparison)

	var outside *replay.RangeError
	_, err = run(func(c *replay.Config) {
		c.Topics, c.Only, c.From.Offset = []string{"payments"}, busiest.Partition, &busiest.To
	})
	require.ErrorAs(t, err, &outside)
	require.Equal(t, &replay.RangeError{Topic: "payments", Partition: busiest.Partition, Offset: busiest.To, Next: busiest.To}, outside)
	var topic *replay.UnknownTopicError
	_, err = run(func(c *replay.Config) { c.Topics = []string{"notifications"} })
	require.ErrorAs(t, err, &topic)
	require.Equal(t, []string{"orders", "payments", "order-failures"}, topic.Reads)
	var partition *replay.PartitionError
	_, err = run(func(c *replay.Config) { c.Topics, c.Only = []string{"payments"}, 3 })
	require.ErrorAs(t, err, &partition)
	w.consuming(client.Orders)
}

func TestAReplayThatIsEndedEarlyLetsTheServiceGoOn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.play()
	for _, words := range []string{"pausing", "reading", "moved", "payments consumes"} {
		ctx, cancel := context.WithCancel(t.Context())
		cfg := w.config(client.Payments)
		cfg.Lease = time.Hour
		cfg.Progress = when(words, cancel)
		report, err := replay.Run(ctx, cfg)
		require.ErrorIs(t, err, context.Canceled, words)
		require.Equal(t, words == "moved" || words == "payments consumes", report != nil, "%s: there is something to tell once the group was moved", words)
		w.consuming(client.Payments)
		w.caughtUp(client.Payments)
		cancel()
	}
}
