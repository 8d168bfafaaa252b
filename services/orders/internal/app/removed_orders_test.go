package app_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/rebuild/rebuildtest"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/store"
)

const keepOrders = 30 * 24 * time.Hour

// retain removes the orders whose time is over, and returns their number.
func (w *world) retain() int {
	w.t.Helper()
	n, err := w.tryRetain()
	require.NoError(w.t, err)
	return n
}

// tryRetain may run outside the test's goroutine.
func (w *world) tryRetain() (int, error) {
	return retention.New(retention.Config{Pool: w.db, Kinds: []retention.Kind{store.EndingOrders(keepOrders)}, Now: w.clock.Now,
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Rows: 2}).Pass(w.t.Context())
}

// stock is what audit compares of product "a".
func (w *world) stock() (sold, ofOrders int64) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT sold, orders_sold FROM audit_stock WHERE sku = 'a'`).Scan(&sold, &ofOrders))
	return sold, ofOrders
}

func TestOnlySettledOrdersWhoseTimeIsOverAreRemoved(t *testing.T) {
	t.Parallel()
	for _, status := range domain.Statuses() {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(status)
			w.clock.pass(keepOrders)
			require.Zero(t, w.retain())
			w.clock.pass(time.Second)
			if !status.Settled() {
				require.Zero(t, w.retain())
				require.Equal(t, status, w.order("o").Status)
				return
			}
			require.Equal(t, 1, w.retain())
			for _, table := range []string{"orders", "order_lines", "order_events"} {
				require.Equal(t, []string{"0"}, column(t, w.db, `SELECT count(*)::text FROM `+table), table)
			}
			sold, ofOrders := w.stock()
			require.Equal(t, sold, ofOrders, "the pieces of removed orders count")
		})
	}
}

// An order that its user cancels after a year is kept from then on.
func TestALateChangeKeepsAnOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Confirmed)
	w.clock.pass(2 * keepOrders)
	w.cancel()
	deliver(w, w.OnPaymentRefunded, refunded())
	w.took()
	require.Zero(t, w.retain())
	w.clock.pass(keepOrders + time.Second)
	require.Equal(t, 1, w.retain())
	sold, ofOrders := w.stock()
	require.Zero(t, sold+ofOrders, "its pieces came back before")
}

func TestAnOrderStaysWhileAMessageOfItWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ waits, done string }{
		"outbox": {`INSERT INTO outbox (topic, key, value, headers) VALUES ('orders', 'o', '', '[]')`, `DELETE FROM outbox`},
		"held": {`INSERT INTO held_messages (order_id, event, topic, partition, record_offset, record_time, held_at)
			VALUES ('o', 'payment_captured', 'payments', 0, 0, now(), now())`, `DELETE FROM held_messages`},
		"parked": {`INSERT INTO dead_letters (topic, partition, record_offset, record_time, key, reason, detail)
			VALUES ('payments', 0, 0, now(), 'o', 'r', 'd')`, `UPDATE dead_letters SET state = 'discarded'`},
		"replaying": {`INSERT INTO dead_letters (topic, partition, record_offset, record_time, key, reason, detail, state)
			VALUES ('payments', 0, 0, now(), 'o', 'r', 'd', 'replaying')`, `UPDATE dead_letters SET state = 'replayed'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(domain.Confirmed)
			w.clock.pass(keepOrders + time.Second)
			_, err := w.db.Exec(t.Context(), c.waits)
			require.NoError(t, err)
			require.Zero(t, w.retain())
			_, err = w.db.Exec(t.Context(), c.done)
			require.NoError(t, err)
			require.Equal(t, 1, w.retain())
		})
	}
}

// The row was the inbox. Whatever of a removed order comes again, by a replay, a copy of a topic or a client, changes nothing.
func TestNothingOfARemovedOrderIsTakenAnew(t *testing.T) {
	t.Parallel()
	for _, status := range domain.Statuses() {
		if !status.Settled() {
			continue
		}
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(status)
			w.clock.pass(keepOrders + time.Second)
			require.Equal(t, 1, w.retain())
			before := w.dump()

			outside := in(w, captured())
			outside.Outside = true
			for range 2 {
				require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
				require.Empty(t, deliver(w, w.OnOrderPlaced, plain()), "not even with other content")
				require.Empty(t, deliver(w, w.OnPaymentCaptured, captured()))
				require.Empty(t, deliver(w, w.OnPaymentFailed, paymentFailed("card_declined")))
				require.Empty(t, deliver(w, w.OnPaymentRefunded, refunded()))
				r := w.OnPaymentCaptured(t.Context(), []bus.In[messages.PaymentCaptured]{outside})
				require.Equal(t, []bus.Result{{}}, r)
			}
			_, err := w.PlaceOrder(t.Context(), domain.Placement{OrderID: "o", UserID: "u", Lines: []domain.Line{{SKU: "a", Quantity: 2}}}, nil, nil)
			require.ErrorIs(t, err, domain.ErrContradiction)
			require.Equal(t, before, w.dump())
			require.Empty(t, w.took())
		})
	}
}

// An order that is being removed while a message of it is handled is found: as a row, or as a tombstone.
func TestAMessageDuringARemovalIsARepetition(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Confirmed)
	w.clock.pass(keepOrders + time.Second)
	done := make(chan error, 1)
	go func() {
		for {
			// A sweep leaves out an order that a message has locked.
			if n, err := w.tryRetain(); err != nil || n > 0 {
				done <- err
				return
			}
		}
	}()
	for range 20 {
		for _, m := range deliver(w, w.OnOrderPlaced, of("a", 2)) {
			t.Fatalf("published %s", m.ID)
		}
	}
	require.NoError(t, <-done)
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
	require.Equal(t, []string{"0"}, column(t, w.db, `SELECT count(*)::text FROM orders`))
}

// Slices of two rows go through all orders, past those that must stay.
func TestARemovalGoesThroughAllSlices(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 9 {
		p := plain()
		p.OrderID = fmt.Sprintf("o%d", i)
		deliver(w, w.OnOrderPlaced, p)
		if i%3 != 0 { // every third one stays open
			deliver(w, w.OnPaymentFailed, messages.PaymentFailed{OrderID: p.OrderID, UserID: "u", Total: usd(1000), Reason: "card_declined"})
		}
	}
	w.took()
	w.clock.pass(keepOrders + time.Second)
	require.Equal(t, 6, w.retain())
	require.Equal(t, []string{"o0", "o3", "o6"}, column(t, w.db, `SELECT order_id FROM orders ORDER BY 1`))
	require.Zero(t, w.retain())
}

// A rebuild finds a removed order on topics that are kept for longer, and lets it rest.
func TestARebuildDoesNotBringRemovedOrdersBack(t *testing.T) {
	t.Parallel()
	w := load(t, 1, 2)
	for range 600 {
		w.work(40)
	}
	w.finish()
	const settledSQL = `SELECT order_id FROM orders WHERE status IN ('confirmed', 'rejected', 'failed', 'cancelled') ORDER BY 1`
	const stockSQL = `SELECT concat_ws(' ', sku, available, reserved, sold, stocked) FROM inventory ORDER BY sku`
	gone := column(t, w.db, settledSQL)
	stock := column(t, w.db, stockSQL)
	w.clock.pass(keepOrders + time.Second)
	require.NotZero(t, w.retain())
	left := column(t, w.db, settledSQL)
	gone = slices.DeleteFunc(gone, func(id string) bool { return slices.Contains(left, id) })
	require.NotEmpty(t, gone)
	state := store.NewRebuilder(w.db, domain.Policy{PaymentTimeout: paymentTimeout, RepublishAfter: republishAfter}, w.clock.Now)
	require.NotEmpty(t, rebuildtest.Stories(state, w.records))
	for _, f := range w.rebuild(w.db, true) {
		require.NotEqual(t, rebuild.Differs, f.Kind, "%+v", f)
	}
	for _, id := range column(t, w.db, `SELECT order_id FROM orders`) {
		require.NotContains(t, gone, id)
	}
	require.Equal(t, stock, column(t, w.db, stockSQL))
}
