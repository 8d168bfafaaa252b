package app_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/domain"
)

// ending is one way in which an order of two pieces of "a" ends. last delivers what ends it.
type ending struct {
	begin domain.Status
	first func(w *world) // nil = nothing
	last  func(w *world) bus.Result
	want  func() messages.Message
	kind  string
	due   time.Duration // how long the order lasts
}

func endings() map[string]ending {
	refund := func(e messages.PaymentRefunded) func(w *world) bus.Result {
		return func(w *world) bus.Result {
			return w.OnPaymentRefunded(w.t.Context(), []bus.In[messages.PaymentRefunded]{in(w, e)})[0]
		}
	}
	cancel := func(w *world) { w.cancel(); w.took() }
	return map[string]ending{
		"confirmed": {begin: domain.AwaitingPayment, kind: "confirmed",
			last: func(w *world) bus.Result {
				return w.OnPaymentCaptured(w.t.Context(), []bus.In[messages.PaymentCaptured]{in(w, captured())})[0]
			},
			want: func() messages.Message { return orderConfirmed(twoOfA()...) }},
		"cancelled before payment": {begin: domain.AwaitingPayment, kind: "cancelled", first: cancel, last: refund(voided()),
			want: func() messages.Message { return orderCancelled("payment_refunded", "", twoOfA()...) }},
		"cancelled after payment": {begin: domain.Confirmed, kind: "cancelled", first: cancel, last: refund(refunded()),
			want: func() messages.Message { return orderCancelled("payment_refunded", "pay-1", twoOfA()...) }},
		"cancelled while pending": {begin: domain.Pending, kind: "cancelled",
			last: func(w *world) bus.Result {
				_, err := w.CancelOrder(w.t.Context(), "o")
				return bus.Result{Publish: w.took(), Err: err}
			},
			want: func() messages.Message { return orderCancelled("http", "", twoOfA()...) }},
		"failed by time-out": {begin: domain.AwaitingPayment, kind: "failed", due: paymentTimeout,
			first: func(w *world) { w.clock.pass(paymentTimeout); w.sweep(w.ExpirePayments); w.took() }, last: refund(voided()),
			want: func() messages.Message { return orderFailed("payment_timeout", "", twoOfA()...) }},
		"failed by stock that was short after payment": {begin: domain.Pending, kind: "failed",
			first: func(w *world) {
				other := of("a", 9)
				other.OrderID = "other"
				deliver(w, w.OnOrderPlaced, other)
				deliver(w, w.OnPaymentCaptured, captured())
			}, last: refund(refunded()),
			want: func() messages.Message { return orderFailed("out_of_stock", "pay-1", twoOfA()...) }},
	}
}

// Each outcome is published with the email about it, first, and is the same one however often it is published. A service that
// dies before the commit published nothing; one that dies later has another replica publish the same messages again. What
// comes after the end does not change them.
func TestEachOutcomeIsAnEvent(t *testing.T) {
	t.Parallel()
	for name, e := range endings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(e.begin)
			if e.first != nil {
				e.first(w)
			}
			w.clock.pass(time.Second)
			w.commits(false)
			before := w.dump()
			require.Error(t, e.last(w).Err)
			require.Equal(t, before, w.dump())
			require.Empty(t, w.took())
			w.commits(true)

			got := e.last(w).Publish
			require.Len(t, got, 2)
			says(t, got[:1], e.want())
			require.Equal(t, "orders", got[0].Source)
			require.True(t, w.clock.Now().Equal(got[0].Time), "the time of the decision")
			require.True(t, got[0].OrderTime.Equal(w.clock.Now().Add(-time.Second-e.due)), "when the order was received")
			require.Equal(t, e.kind, got[1].Event.(messages.NotificationRequested).Kind)
			if name == "cancelled while pending" { // nothing delivers a request again: its messages are in the outbox
				return
			}

			w.clock.pass(time.Minute)
			require.Equal(t, got, e.last(w.replica()).Publish, "delivered again")
			if e.kind == "confirmed" {
				return
			}
			deliver(w, w.OnPaymentCaptured, captured())
			if repeated := e.last(w).Publish; len(repeated) > 0 { // a void, not the refund of the late payment
				require.Equal(t, got, repeated, "after a payment that came late")
			}
		})
	}
}

// commits lets transactions that change an order commit, or has them fail at the commit.
func (w *world) commits(can bool) {
	w.t.Helper()
	sql := `CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'killed'; END $$;
		CREATE CONSTRAINT TRIGGER dies AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dies()`
	if can {
		sql = `DROP FUNCTION dies CASCADE`
	}
	testkit.Admin(w.t, w.db, sql)
}

// What no record triggers is written to the outbox with the decision, so a kill at any point loses neither message.
func TestACancelledOrderHasItsOutcomeInTheOutbox(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Pending)
	w.cancel()
	var topics []string
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT array_agg(topic ORDER BY id) FROM outbox`).Scan(&topics))
	require.Equal(t, []string{"orders", "notifications"}, topics)
	says(t, w.took()[:1], orderCancelled("http", "", twoOfA()...))
}

// A rejected order and one whose payment failed have their outcome already: none is published twice.
func TestAFailedPaymentIsTheOutcome(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.AwaitingPayment)
	for _, m := range deliver(w, w.OnPaymentFailed, paymentFailed("suspected_fraud")) {
		require.IsType(t, messages.NotificationRequested{}, m.Event)
	}
}
