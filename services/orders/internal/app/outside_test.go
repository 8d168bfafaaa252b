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
	says(t, w.took(), confirmed())
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

// Money that went back pays for nothing: the order asks for its payment, which payments refuses.
func TestAPaymentFromOutsideThatWentBackDoesNotConfirmTheOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	fromOutside(w, w.OnPaymentCaptured, captured())
	fromOutside(w, w.OnPaymentRefunded, refunded())
	w.waitInVain()
	says(t, deliver(w, w.OnOrderPlaced, plain()), requested())
	require.Empty(t, w.took())
	w.is("o", domain.AwaitingPayment, "")
	require.Zero(t, w.held())
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
