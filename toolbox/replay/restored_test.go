package replay_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/behind"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/replay"
)

// tablesOf returns the tables of a service that a backup of its state has.
func (w *world) tablesOf(service string) []string {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT tablename FROM pg_tables WHERE schemaname = $1
		AND tablename NOT IN ('goose_db_version', 'replicas', 'outbox_lease') ORDER BY 1`, service)
	require.NoError(w.t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	return names
}

// keep keeps the rows of a service, as a backup does, once nothing is on its way.
func (w *world) keep(service string) {
	w.t.Helper()
	w.nothingOnItsWay()
	w.exec("CREATE SCHEMA kept_" + service)
	for _, table := range w.tablesOf(service) {
		w.exec(fmt.Sprintf("CREATE TABLE kept_%[1]s.%[2]s AS SELECT * FROM %[1]s.%[2]s", service, table))
	}
}

// putBack stops a service, puts its rows back to those that keep kept, and starts it again. It waits until the service is at rest.
func (w *world) putBack(service string) {
	w.t.Helper()
	require.NoError(w.t, w.StopService(w.t.Context(), service))
	w.exec("SET session_replication_role = replica") // no foreign keys, no triggers
	for _, table := range w.tablesOf(service) {
		var columns string
		require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
			WHERE attrelid = ($1 || '.' || $2)::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`, service, table).Scan(&columns))
		w.exec(fmt.Sprintf("TRUNCATE %s.%s CASCADE", service, table))
		w.exec(fmt.Sprintf("INSERT INTO %[1]s.%[2]s (%[3]s) OVERRIDING SYSTEM VALUE SELECT %[3]s FROM kept_%[1]s.%[2]s", service, table, columns))
	}
	w.exec("RESET session_replication_role")
	require.NoError(w.t, w.StartService(w.t.Context(), service))
	w.consuming(service)
	w.nothingOnItsWay() // the service may publish rows of its outbox again, and read them
	w.caughtUp(service)
}

func (w *world) exec(sql string) {
	w.t.Helper()
	_, err := w.db.Exec(w.t.Context(), sql)
	require.NoError(w.t, err, sql)
}

// scarce makes a product with one piece.
func (w *world) scarce(sku string) {
	w.t.Helper()
	_, err := w.Client().PutProduct(w.t.Context(), sku, client.Product{Name: sku, Price: "5.00"})
	require.NoError(w.t, err)
	_, err = w.Client().Restock(w.t.Context(), sku, 1)
	require.NoError(w.t, err)
}

// order places an order and waits until it has the status.
func (w *world) order(id, sku, status string) {
	w.t.Helper()
	o := client.NewOrder{OrderID: id, UserID: "ada", Total: "5.00"}
	if sku != "" {
		o.Total, o.Items = "", []client.NewItem{{SKU: sku, Quantity: 1}}
	}
	_, _, err := w.Client().Place(w.t.Context(), o, client.PlaceOptions{})
	require.NoError(w.t, err)
	w.reaches(id, status)
}

// offsets returns the committed offsets of a service's groups, by group and partition.
func (w *world) offsets(service string) map[string]map[int32]int64 {
	w.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers()...))
	require.NoError(w.t, err)
	defer c.Close()
	consumers, err := w.Client().Consumers(w.t.Context(), service)
	require.NoError(w.t, err)
	all := map[string]map[int32]int64{}
	for _, g := range consumers.Groups {
		fetched, err := kadm.NewClient(c).FetchOffsets(w.t.Context(), g.Group)
		require.NoError(w.t, err)
		all[g.Group] = map[int32]int64{}
		for partition, o := range fetched[g.KafkaTopic] {
			all[g.Group][partition] = o.At
		}
	}
	return all
}

// rowsOf returns the rows of a service as text.
func (w *world) rowsOf(service string) (rows []string) {
	w.t.Helper()
	for _, table := range w.tablesOf(service) {
		found, err := w.db.Query(w.t.Context(), fmt.Sprintf("SELECT t::text FROM %s.%s t ORDER BY 1", service, table))
		require.NoError(w.t, err)
		texts, err := pgx.CollectRows(found, pgx.RowTo[string])
		require.NoError(w.t, err)
		rows = append(rows, texts...)
	}
	return rows
}

// refused replays a service and expects that it is refused with nothing touched. It returns the steps and the error.
func (w *world) refused(service string) (steps []string, refusal error) {
	w.t.Helper()
	asked, emails := w.done()
	offsets, state := w.offsets(service), w.rowsOf(service)
	cfg := w.config(service)
	cfg.Grace = time.Second
	cfg.Progress = func(p replay.Progress) { steps = append(steps, p.Step) }
	report, err := replay.Run(w.t.Context(), cfg)
	require.Nil(w.t, report, "%v", report)
	require.Error(w.t, err)
	require.False(w.t, slices.ContainsFunc(steps, func(s string) bool { return strings.HasPrefix(s, "pausing") || strings.HasPrefix(s, "moved") }), "%v", steps)
	require.Equal(w.t, offsets, w.offsets(service))
	require.Equal(w.t, state, w.rowsOf(service))
	askedAfter, emailsAfter := w.done()
	require.Equal(w.t, asked, askedAfter)
	require.Equal(w.t, emails, emailsAfter)
	return steps, err
}

// Scarce stock was sold to some and refused to others. The database goes back to a moment before that. A replay would
// decide anew, in another order: it is refused.
func TestAReplayThatWouldSellScarceStockAnewIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 3 {
		w.scarce(fmt.Sprintf("scarce-%d", i))
	}
	w.keep(client.Orders)
	for i := range 3 {
		w.order(fmt.Sprintf("win-%d", i), fmt.Sprintf("scarce-%d", i), "confirmed")
		w.order(fmt.Sprintf("lose-%d", i), fmt.Sprintf("scarce-%d", i), "rejected")
	}
	for _, service := range messages.Services() {
		w.caughtUp(service)
	}
	w.putBack(client.Orders)

	_, err := w.refused(client.Orders)
	var refusal *replay.BehindError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, int64(6), refusal.Count)
	require.Equal(t, "win-0", refusal.First().Key)
	require.EqualError(t, err, "the database of orders is behind the topics: it lacks decisions that they have about 6 orders, "+
		"the first is win-0: the topics have order_confirmed, there is no row")
	require.Equal(t, "nothing was touched; make the state again from the topics with `pas rebuild --service orders`", refusal.Hint())

	for _, service := range []string{client.Payments, client.Notifications} { // their rows have all that they decided
		report, err := replay.Run(t.Context(), w.config(service))
		require.NoError(t, err)
		require.True(t, report.Equal(), "%v", report.Differences)
	}
}

// An order was cancelled, another one's payment took too long. The database goes back to a moment before that. A replay
// would confirm both, and their money is gone.
func TestAReplayThatWouldConfirmCancelledOrdersIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.order("cancelled", "", "confirmed")
	require.NoError(t, w.StopService(t.Context(), client.Payments))
	w.order("late", "", "awaiting_payment")
	w.keep(client.Orders)
	_, err := w.Client().Cancel(t.Context(), "cancelled")
	require.NoError(t, err)
	w.spoil("UPDATE orders.orders SET due_at = now() WHERE order_id = 'late'")
	w.reaches("late", "cancelling")
	require.NoError(t, w.StartService(t.Context(), client.Payments))
	w.reaches("late", "failed")
	w.reaches("cancelled", "cancelled")
	for _, service := range messages.Services() {
		w.caughtUp(service)
	}
	w.putBack(client.Orders)

	_, err = w.refused(client.Orders)
	var refusal *replay.BehindError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, int64(2), refusal.Count)
	rows := map[string]string{}
	for _, f := range refusal.List {
		rows[f.Key] = f.Row
	}
	require.Equal(t, map[string]string{"cancelled": "confirmed", "late": "awaiting_payment"}, rows)
}

func TestAReplayOverAnOlderDatabaseOfPaymentsOrNotificationsIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.order("before", "", "confirmed")
	w.caughtUp(client.Notifications)
	w.keep(client.Payments)
	w.keep(client.Notifications)
	w.order("after", "", "confirmed")
	_, err := w.Client().Cancel(t.Context(), "before")
	require.NoError(t, err)
	w.reaches("before", "cancelled")
	for _, service := range messages.Services() {
		w.caughtUp(service)
	}
	w.putBack(client.Payments)
	w.putBack(client.Notifications)

	_, err = w.refused(client.Payments)
	var refusal *replay.BehindError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, int64(2), refusal.Count)
	require.Equal(t, "after", refusal.First().Key)

	_, err = w.refused(client.Notifications)
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, int64(2), refusal.Count)
	require.Equal(t, "after confirmed", refusal.First().Key)
	require.ErrorContains(t, err, "it lacks decisions that they have about 2 notifications, the first is after confirmed: ")
}

func TestContradictionsAreNamedBeforeAnythingIsTouched(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.order("one", "", "confirmed")
	w.caughtUp(client.Orders)
	w.spoil(`UPDATE orders.orders SET status = 'rejected', reason = 'x', payment_id = '' WHERE order_id = 'one'`)

	steps, err := w.refused(client.Orders)
	var refusal *replay.ContradictionError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, int64(1), refusal.Count)
	require.True(t, slices.ContainsFunc(steps, func(s string) bool {
		return strings.HasPrefix(s, "contradiction: one: the topics have ") && strings.HasSuffix(s, ", the row is rejected")
	}), "%v", steps)
	require.Contains(t, refusal.Hint(), "--despite-contradictions")

	cfg := w.config(client.Orders)
	cfg.Grace, cfg.Contradictions = time.Second, true
	_, err = replay.Run(t.Context(), cfg)
	require.NoError(t, err)
}

// A system at work is never behind its topics: it publishes a decision after its commit.
func TestASystemAtWorkIsNotBehindItsTopics(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			order, _, err := w.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
			if err == nil && n%3 == 0 {
				_, err = w.Client().Cancel(t.Context(), order.OrderID)
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 5 {
		for _, service := range messages.Services() {
			handled := w.offsets(client.Notifications)[w.prefix+"notifications.notifications"]
			report, err := behind.Find(t.Context(), behind.Config{Service: service, Database: w.config(service).Database, Handled: handled,
				Kafka: feed.Config{Kafka: w.Kafka(), OpenTime: time.Minute}, Grace: time.Minute})
			require.NoError(t, err)
			require.Zero(t, report.Behind.Count+report.Contradicts.Count, "%s: %v %v", service, report.Behind.List, report.Contradicts.List)
		}
	}
	stop()
	require.NoError(t, <-done)
}
