package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/payments/internal/domain"
)

// fromOrders hands over events as the orders service publishes them.
func fromOrders[E messages.Event](t *testing.T, h bus.Handler[E], e E) bus.Result {
	t.Helper()
	batch := in(e)
	batch[0].Source = messages.ServiceOrders
	results := h(t.Context(), batch)
	require.Len(t, results, 1)
	return results[0]
}

func TestAPaymentThatOrdersAskedForIsNotFromOutside(t *testing.T) {
	t.Parallel()
	w := setup(t)
	result := fromOrders(t, w.OnPaymentRequested, ask("o1", 4999))
	require.False(t, result.Publish[0].Outside)
	require.False(t, w.payment("o1").Outside)
	require.False(t, request(t, w.App, ask("o1", 4999))[0].Publish[0].Outside, "who asked first counts")
}

func TestAPaymentAskedForFromOutsideSaysSo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := request(t, w.App, ask("o1", 4999))[0]
	require.IsType(t, messages.PaymentCaptured{}, published(t, first)[0])
	require.True(t, first.Publish[0].Outside)
	record, err := first.Publish[0].Record()
	require.NoError(t, err)
	read, err := messages.Decode(record)
	require.NoError(t, err)
	require.True(t, read.Outside, "the record says so too")
	require.True(t, w.payment("o1").Outside)
	require.Equal(t, first, request(t, w.other(), ask("o1", 4999))[0], "read back from the table it is the same")

	declined := request(t, w.App, askWith("o2", 4999, "pm_card_chargeDeclined"))[0]
	require.True(t, declined.Publish[0].Outside)
	voided := refund(t, w.App, back("o3", 4999))[0]
	require.True(t, voided.Publish[0].Outside)
	require.True(t, refund(t, w.App, back("o1", 4999))[0].Publish[0].Outside)
}

func TestAnOrderPlacedAfterItsPaymentIsNotChargedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := request(t, w.App, ask("o1", 4999))[0]
	require.Equal(t, first, fromOrders(t, w.OnPaymentRequested, ask("o1", 4999)))
	require.Len(t, w.ledger("o1"), 1)
	require.Equal(t, 1, w.ledger("o1")[0].ChargeCalls)
}

// An order id is charged once. An order that is placed with an id that another payment has must end, and not wait for money.
func TestAnOrderWhoseIDAnotherPaymentHasIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, ask("o1", 4999))
	other := ask("o1", 700)
	refused := fromOrders(t, w.OnPaymentRequested, other)
	require.Equal(t, []messages.Event{messages.PaymentFailed{OrderID: "o1", UserID: "u1", Total: usd(700), Reason: domain.ReasonOrderIDTaken}},
		published(t, refused))
	require.False(t, refused.Publish[0].Outside, "it is about the order")
	require.Equal(t, refused, fromOrders(t, w.other().OnPaymentRequested, other), "the same each time")
	requireParked(t, request(t, w.App, other)[0])

	wanted := back("o1", 700)
	voided := fromOrders(t, w.OnRefundRequested, wanted)
	require.Equal(t, []messages.Event{messages.PaymentRefunded{OrderID: "o1", UserID: "u1", Amount: usd(0)}}, published(t, voided))
	require.Equal(t, domain.Captured, w.payment("o1").Status, "the other payment is kept")
	require.Equal(t, "charged", w.ledger("o1")[0].Status)
	require.Len(t, w.ledger("o1"), 1)
}

// A payment from outside is charged and its row not there yet, when the order's own request comes for another amount. Orders
// must hear that the id is taken, and not wait for an answer until the payment's time is over.
func TestAnOrderWhoseIDIsBeingChargedFromOutsideIsRefusedOnceThatIsKept(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.store.beforeOpen = once(errDown)
	requireTransient(t, request(t, w.App, ask("o1", 4999))[0]) // charged; its row is not there
	requireTransient(t, fromOrders(t, w.OnPaymentRequested, ask("o1", 700)))
	requireParked(t, request(t, w.App, ask("o1", 800))[0]) // nobody waits for an answer to a stranger

	require.IsType(t, messages.PaymentCaptured{}, published(t, request(t, w.App, ask("o1", 4999))[0])[0])
	require.Equal(t, []messages.Event{messages.PaymentFailed{OrderID: "o1", UserID: "u1", Total: usd(700), Reason: domain.ReasonOrderIDTaken}},
		published(t, fromOrders(t, w.OnPaymentRequested, ask("o1", 700))))
	require.Len(t, w.ledger("o1"), 1)
}

// The request that charged never comes again. The order's own holds up what is behind it, such as its refund, so it is not tried
// for ever; the refund then gives the charge back.
func TestAnOrderWhoseIDWasChargedAndNeverKeptIsNotTriedForEver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.store.beforeOpen = once(errDown)
	requireTransient(t, request(t, w.App, ask("o1", 4999))[0])
	for range 2 { // again when its letter is replayed
		begin, tries := w.Configured().Now(), 0
		for ; ; tries++ {
			result := fromOrders(t, w.OnPaymentRequested, ask("o1", 700))
			if fault.KindOf(result.Err) == fault.Permanent {
				requireParked(t, result)
				break
			}
			requireTransient(t, result)
			require.Less(t, tries, 200)
		}
		require.Greater(t, tries, 10)
		require.InDelta(t, 60, w.Configured().Now().Sub(begin).Seconds(), 10) // longer than a replica needs to take over from a dead one
	}
	require.True(t, published(t, fromOrders(t, w.OnRefundRequested, back("o1", 700)))[0].(messages.PaymentRefunded).Amount.IsZero())
	require.Equal(t, "refunded", w.ledger("o1")[0].Status)
	require.Empty(t, published(t, fromOrders(t, w.OnPaymentRequested, ask("o1", 700))))
}

func TestAnOrderPlacedAfterItsPaymentWentBackIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, ask("o1", 4999))
	refund(t, w.App, back("o1", 4999))
	refund(t, w.App, back("o2", 4999)) // asked back before it was asked for
	for _, id := range []string{"o1", "o2"} {
		refused := fromOrders(t, w.OnPaymentRequested, ask(id, 4999))
		require.Equal(t, []messages.Event{messages.PaymentFailed{OrderID: id, UserID: "u1", Total: usd(4999), Reason: domain.ReasonOrderIDTaken}},
			published(t, refused))
	}
}
