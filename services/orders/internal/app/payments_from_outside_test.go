package app_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/orders/internal/domain"
)

// fromOutside delivers what payments says of a payment that a producer outside asked for.
func fromOutside[E messages.Event](w *world, h bus.Handler[E], e E) []messages.Message {
	w.t.Helper()
	r, err := messages.Message{ID: messages.ID(e.Key(), e.EventName(), "test"), Event: e, Source: "payments", Outside: true, Time: w.clock.Now()}.Record()
	require.NoError(w.t, err)
	w.n++
	r.Offset = w.n
	results := h(w.t.Context(), []bus.In[E]{{ID: "test", Event: e, Time: w.clock.Now(), Outside: true, Record: r}})
	require.Len(w.t, results, 1)
	require.NoError(w.t, results[0].Err)
	return results[0].Publish
}

// waitInVain lets more time pass than a message may wait for its order.
func (w *world) waitInVain() {
	w.t.Helper()
	w.clock.pass(heldTimeout + 24*time.Hour)
	n, err := w.ParkHeld(w.t.Context())
	require.NoError(w.t, err)
	require.Zero(w.t, n)
	require.Empty(w.t, w.letters())
}

func TestAPaymentAskedForFromOutsideIsNoFaultAndWaitsForItsOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	for range 3 { // as often as the producer asks
		fromOutside(w, w.OnPaymentCaptured, captured())
	}
	w.waitInVain()
	require.Equal(t, 1, w.held())

	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)), "it is paid: its payment is not asked for again")
	says(t, w.took(), orderConfirmed(twoOfA()...), confirmed())
	w.is("o", domain.Confirmed, "")
	w.pieces("a", 8, 0, 2)
	require.Zero(t, w.held())
}

func TestAPaymentFromOutsideForAnOrderThatCannotBeGoesBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 1)
	fromOutside(w, w.OnPaymentCaptured, captured())
	w.waitInVain()
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
	says(t, w.took(), refund("short", "out_of_stock"))
	w.is("o", domain.Cancelling, "out_of_stock")
}

func TestAPaymentFromOutsideThatIsAnotherOnesDoesNotConfirmTheOrder(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]messages.PaymentCaptured{
		"another amount": {OrderID: "o", UserID: "u", Amount: usd(999), PaymentID: "pay-1"},
		"another user":   {OrderID: "o", UserID: "v", Amount: usd(1000), PaymentID: "pay-1"},
	} {
		for _, before := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := setup(t)
				if before {
					fromOutside(w, w.OnPaymentCaptured, e)
				}
				says(t, deliver(w, w.OnOrderPlaced, plain()), requested())
				if !before {
					require.Empty(t, fromOutside(w, w.OnPaymentCaptured, e))
				}
				require.Empty(t, fromOutside(w, w.OnPaymentRefunded, messages.PaymentRefunded{OrderID: "o", UserID: e.UserID, Amount: e.Amount, PaymentID: "pay-1"}))
				w.is("o", domain.AwaitingPayment, "")
				require.Zero(t, w.held())
				require.Empty(t, w.letters())
				says(t, deliver(w, w.OnPaymentFailed, paymentFailed("order_id_taken")), mail("failed", "Order o failed: its id belongs to another payment."))
				w.is("o", domain.Failed, "order_id_taken")
			})
		}
	}
}

// taken returns the messages of an order whose id belongs to a payment that went back.
func taken(w *world) []messages.Message {
	var items []messages.Item
	for _, l := range w.order("o").Lines {
		items = append(items, messages.Item{SKU: l.SKU, Quantity: l.Quantity, UnitPrice: &l.UnitPrice})
	}
	return []messages.Message{orderFailed("order_id_taken", "", items...), mail("failed", "Order o failed: its id belongs to another payment.")}
}

// Money that went back pays for nothing, and payments charges no order id twice: the order fails at once. What is delivered
// again afterwards, and what payments answers to it, changes nothing.
func TestAPaymentFromOutsideThatWentBackFailsTheOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	fromOutside(w, w.OnPaymentCaptured, captured())
	fromOutside(w, w.OnPaymentRefunded, refunded())
	w.waitInVain()
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)), "nothing is asked of payments")
	says(t, w.took(), taken(w)...)
	w.failedForGood()
	w.pieces("a", 10, 0, 0)
}

// failedForGood expects that the order failed because its payment from outside went back, whatever comes after that.
func (w *world) failedForGood() {
	w.t.Helper()
	w.is("o", domain.Failed, "order_id_taken")
	require.Zero(w.t, w.held())
	late := refund("late", "order_failed")
	for range 2 { // a crash has all of it delivered again
		says(w.t, fromOutside(w, w.OnPaymentCaptured, captured()), late)
		require.Empty(w.t, fromOutside(w, w.OnPaymentRefunded, refunded()))                    // also payments' answer to the above
		says(w.t, deliver(w, w.OnPaymentFailed, paymentFailed("order_id_taken")), taken(w)...) // from a request of an older replica
		says(w.t, deliver(w, w.OnPaymentRefunded, voided()), taken(w)...)
		require.Empty(w.t, deliver(w, w.OnOrderPlaced, w.placed()))
		w.is("o", domain.Failed, "order_id_taken")
	}
	require.Empty(w.t, w.took())
	require.Empty(w.t, w.letters())
	require.Zero(w.t, w.held())
}

// placed returns the message about the order as it is.
func (w *world) placed() messages.OrderPlaced {
	w.t.Helper()
	o := w.order("o")
	e := messages.OrderPlaced{OrderID: o.ID, UserID: o.UserID, Total: o.Total, HasTotal: true}
	for _, l := range o.Lines {
		e.Items = append(e.Items, messages.Item{SKU: l.SKU, Quantity: l.Quantity})
	}
	return e
}

// The money goes back while the order waits for its step.
func TestAPaymentFromOutsideThatGoesBackWhileItsOrderIsPending(t *testing.T) {
	t.Parallel()
	for name, afterwards := range map[string]func(w *world){
		"once": func(*world) {},
		"and both messages are delivered again": func(w *world) {
			require.Empty(w.t, fromOutside(w, w.OnPaymentCaptured, captured()))
			require.Empty(w.t, fromOutside(w, w.OnPaymentRefunded, refunded()))
		},
		"and only the first is delivered again": func(w *world) {
			require.Empty(w.t, fromOutside(w, w.OnPaymentCaptured, captured()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.product("a", 500, 10)
			fromOutside(w, w.OnPaymentCaptured, captured())
			w.place(lines("a", 2))
			placed := w.took()[0].Event.(messages.OrderPlaced)
			require.Empty(t, fromOutside(w, w.OnPaymentRefunded, refunded()))
			afterwards(w)
			w.is("o", domain.Pending, "")
			require.Empty(t, deliver(w, w.OnOrderPlaced, placed))
			says(t, w.took(), taken(w)...)
			w.failedForGood()
			w.pieces("a", 10, 0, 0)
		})
	}
}

// A payment from outside of a pending order is judged with the order's step, where it is seen whether the money went back.
func TestAPaymentFromOutsideOfAPendingOrderWaitsForTheOrderStep(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	w.place(lines("a", 2))
	placed := w.took()[0].Event.(messages.OrderPlaced)
	require.Empty(t, fromOutside(w, w.OnPaymentCaptured, captured()))
	w.is("o", domain.Pending, "")
	require.Empty(t, deliver(w, w.OnOrderPlaced, placed))
	says(t, w.took(), orderConfirmed(twoOfA()...), confirmed())
	w.is("o", domain.Confirmed, "")
	w.pieces("a", 8, 0, 2)
}

// A refund of an order that was placed after nothing was charged: payments refuses it as well.
func TestARefundFromOutsideOfNothingFailsTheOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	fromOutside(w, w.OnPaymentRefunded, voided())
	require.Empty(t, deliver(w, w.OnOrderPlaced, plain()))
	says(t, w.took(), taken(w)...)
	w.is("o", domain.Failed, "order_id_taken")
}

// Nobody else looks at what was kept aside for an order that is called off before its step.
func TestAPaymentFromOutsideGoesBackWhenItsOrderIsCancelledBeforeItsStep(t *testing.T) {
	t.Parallel()
	for name, wentBack := range map[string]bool{"captured": false, "captured and refunded": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.product("a", 500, 10)
			fromOutside(w, w.OnPaymentCaptured, captured())
			w.place(lines("a", 2))
			placed := w.took()[0].Event.(messages.OrderPlaced)
			w.cancel()
			w.took()
			if wentBack {
				require.Empty(t, fromOutside(w, w.OnPaymentRefunded, refunded()))
			}
			require.Empty(t, deliver(w, w.OnOrderPlaced, placed))
			says(t, w.took(), refund("late", "order_cancelled"))
			require.Empty(t, fromOutside(w, w.OnPaymentRefunded, refunded()))
			w.is("o", domain.Cancelled, "cancelled_by_user")
			require.Zero(t, w.held())
			require.Empty(t, deliver(w, w.OnOrderPlaced, placed))
			require.Empty(t, w.took())
			require.Empty(t, w.letters())
			w.pieces("a", 10, 0, 0)
		})
	}
}

// An older replica's sweeper parks what waits for an order without end. A letter of its that is replayed waits again.
func TestAPaymentFromOutsideThatAnOlderReplicaParkedWaitsAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := in(w, captured())
	handle := func(outside bool) error {
		t.Helper()
		m.Outside = outside
		return w.OnPaymentCaptured(t.Context(), []bus.In[messages.PaymentCaptured]{m})[0].Err
	}
	require.NoError(t, handle(false)) // kept aside as the older one sees it
	w.clock.pass(heldTimeout)
	n, err := w.ParkHeld(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Len(t, w.letters(), 1)
	require.Error(t, handle(false))
	require.NoError(t, handle(true))
	require.Equal(t, 1, w.held())
}

func TestAFailedPaymentFromOutsideIsNoFault(t *testing.T) {
	t.Parallel()
	w := setup(t)
	fromOutside(w, w.OnPaymentFailed, paymentFailed("card_declined"))
	fromOutside(w, w.OnPaymentRefunded, messages.PaymentRefunded{OrderID: "x", UserID: "u", Amount: usd(0)})
	w.waitInVain()
}
