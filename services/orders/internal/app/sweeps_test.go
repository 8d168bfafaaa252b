package app_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/orders/internal/domain"
)

func (w *world) sweep(sweep func(context.Context) (int, error)) int {
	w.t.Helper()
	n, err := sweep(w.t.Context())
	require.NoError(w.t, err)
	return n
}

func TestExpirePayments(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.AwaitingPayment)
	w.clock.pass(paymentTimeout - time.Second)
	require.Zero(t, w.sweep(w.ExpirePayments))
	w.clock.pass(time.Second)
	require.Equal(t, 1, w.sweep(w.ExpirePayments))
	require.Zero(t, w.sweep(w.ExpirePayments))
	w.is("o", domain.Cancelling, "payment_timeout")
	says(t, w.took(), refund("timeout", "payment_timeout"))
	w.pieces("a", 8, 2, 0)

	// Too late: its refund is on the way.
	require.Empty(t, deliver(w, w.OnPaymentCaptured, captured()))
	says(t, deliver(w, w.OnPaymentRefunded, refunded()), orderFailed("payment_timeout", "pay-1", twoOfA()...), mail("failed", "Order o failed: the payment was not made in time."))
	w.is("o", domain.Failed, "payment_timeout")
	w.pieces("a", 10, 0, 0)
}

// The record may be old: it is our clock that counts, from when we received it.
func TestAnOldRecordHasItsFullTime(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := in(w, plain())
	m.Time = w.clock.Now().Add(-24 * time.Hour)
	m.Record.Time = m.Time
	require.NoError(t, w.OnOrderPlaced(t.Context(), []bus.In[messages.OrderPlaced]{m})[0].Err)
	require.Zero(t, w.sweep(w.ExpirePayments))
}

func TestRepublishPending(t *testing.T) {
	t.Parallel()
	w := setup(t)
	o := w.place(domain.Placement{OrderID: "o", UserID: "u", Total: usd(1000), HasTotal: true})
	first := w.took()
	w.clock.pass(republishAfter - time.Second)
	require.Zero(t, w.sweep(w.RepublishPending))
	w.clock.pass(time.Second)
	for _, wait := range []time.Duration{2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		require.Equal(t, 1, w.sweep(w.RepublishPending))
		require.Equal(t, first, w.took(), "the same message")
		w.clock.pass(wait - time.Second)
		require.Zero(t, w.sweep(w.RepublishPending), "not before %s", wait)
		w.clock.pass(time.Second)
	}
	require.Equal(t, o.Version, w.order("o").Version, "nothing happened to the order")
	deliver(w, w.OnOrderPlaced, plain())
	require.Zero(t, w.sweep(w.RepublishPending))
}

func TestRepublishCancelling(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Cancelling)
	w.clock.pass(republishAfter)
	require.Equal(t, 1, w.sweep(w.RepublishPending))
	says(t, w.took(), refund("cancel", "cancelled_by_user"))
	deliver(w, w.OnPaymentRefunded, voided())
	w.clock.pass(time.Hour)
	require.Zero(t, w.sweep(w.RepublishPending))
}

func TestRepublishWaitsForAnOutboxThatIsStuck(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, value, headers, created_at) VALUES ('orders', '', '[]', $1)`, w.clock.Now())
	require.NoError(t, err)
	w.place(domain.Placement{OrderID: "o", UserID: "u", Total: usd(1000), HasTotal: true})
	w.took()
	w.clock.pass(republishAfter)
	require.Zero(t, w.sweep(w.RepublishPending))
	_, err = w.db.Exec(t.Context(), `DELETE FROM outbox`)
	require.NoError(t, err)
	require.Equal(t, 1, w.sweep(w.RepublishPending))
}

func TestTwoReplicasSweepEachOrderOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const orders = 250
	for i := range orders {
		e := plain()
		e.OrderID = fmt.Sprintf("o%d", i)
		deliver(w, w.OnOrderPlaced, e)
	}
	w.clock.pass(paymentTimeout)
	replicas := []*world{w.replica(), w.replica(), w.replica()}
	var wg sync.WaitGroup
	for _, r := range replicas {
		wg.Go(func() {
			for {
				n, err := r.ExpirePayments(t.Context())
				require.NoError(t, err)
				if n == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[string]int)
	for _, r := range replicas {
		for _, m := range r.took() {
			require.IsType(t, messages.RefundRequested{}, m.Event)
			seen[m.ID]++
		}
	}
	require.Len(t, seen, orders)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
}

// A sweep must not wait for an order that somebody else is working on.
func TestSweepsPassByWhatIsLocked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.AwaitingPayment)
	w.clock.pass(paymentTimeout)
	tx, err := w.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT FROM orders FOR UPDATE`)
	require.NoError(t, err)
	require.Zero(t, w.sweep(w.ExpirePayments))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, 1, w.sweep(w.ExpirePayments))
}
