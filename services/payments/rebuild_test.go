package payments_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/services/payments"
)

// restored is a replica over a new database, and the state that is to be made in it.
func restored(t *testing.T) (*replica, rebuild.State) {
	t.Helper()
	r := newReplica(t, ticking())
	state, err := payments.NewState(r.db, "")
	require.NoError(t, err)
	return r, state
}

// captured returns the topics after an order was paid.
func captured(t *testing.T, r *replica) *topics {
	t.Helper()
	k := &topics{}
	asked := k.publish(messages.ServiceOrders, messages.Message{ID: "1", Time: time.Now(),
		Event: messages.PaymentRequested{OrderID: "o1", UserID: "u1", Amount: usd(4999)}})
	k.publish(messages.ServicePayments, r.handle(t, asked)...)
	return k
}

func (k *topics) askBack() []rebuild.Record {
	return k.publish(messages.ServiceOrders, messages.Message{ID: "2", Time: time.Now(),
		Event: messages.RefundRequested{OrderID: "o1", UserID: "u1", Amount: usd(4999), Reason: "cancelled_by_user"}})
}

// A provider keeps its books when our database is gone. Those of the simulated one are in it, and are made again.
func TestARebuiltPaymentIsRefundedAndNeverChargedAgain(t *testing.T) {
	t.Parallel()
	k := captured(t, newReplica(t, ticking()))
	r, state := restored(t)
	findings, err := state.Fold(t.Context(), k.stories(state), true)
	require.NoError(t, err)
	require.Len(t, findings, 2, "the payment, and its entry in the provider's books: %+v", findings)

	again := r.handle(t, k.records[:1])
	require.Equal(t, k.records[1].ID, again[0].ID, "the same answer as before")
	require.Equal(t, k.records[1].Event, again[0].Event)
	require.Equal(t, [2]int{1, 0}, r.calls(t, "o"), "the provider was not asked again")

	back := r.handle(t, k.askBack())
	require.Len(t, back, 1, "the refund is not parked for want of a charge")
	require.Equal(t, messages.PaymentRefunded{OrderID: "o1", UserID: "u1", Amount: usd(4999),
		PaymentID: k.records[1].Event.(messages.PaymentCaptured).PaymentID}, back[0].Event)
	require.Equal(t, [2]int{1, 1}, r.calls(t, "o"))
}

func TestARefundWithoutOutcomeIsLeftToTheService(t *testing.T) {
	t.Parallel()
	first := newReplica(t, ticking())
	k := captured(t, first)
	asked := k.askBack()
	first.handle(t, asked) // and nobody was told

	r, state := restored(t)
	first.copyTo(t, r, "o", "provider_ledger") // as an outside provider would keep it
	findings, err := state.Fold(t.Context(), k.stories(state), true)
	require.NoError(t, err)
	require.Len(t, findings, 2, "%+v", findings)
	require.Equal(t, rebuild.Undecided, findings[1].Kind)
	require.Equal(t, [2]int{1, 1}, r.calls(t, "o"), "nothing was charged or refunded meanwhile")

	require.Len(t, r.handle(t, asked), 1)
	require.Equal(t, [2]int{1, 2}, r.calls(t, "o"), "asked for again under the same key, which gives nothing back twice")
	require.Equal(t, statuses(t, first, "o"), statuses(t, r, "o"))
}

func TestADryRunWritesNothing(t *testing.T) {
	t.Parallel()
	first := newReplica(t, ticking())
	k := captured(t, first)
	k.publish(messages.ServicePayments, first.handle(t, k.askBack())...)
	r, state := restored(t)
	dry, err := state.Fold(t.Context(), k.stories(state), false)
	require.NoError(t, err)
	require.Empty(t, r.rows(t, ""))
	written, err := state.Fold(t.Context(), k.stories(state), true)
	require.NoError(t, err)
	require.Equal(t, dry, written, "it says what would be written")
	require.Equal(t, "refunded, 49.99 USD, cancelled_by_user, "+k.records[1].Event.(messages.PaymentCaptured).PaymentID, written[0].Is)
	require.Empty(t, written[0].Was)
	none, err := state.Fold(t.Context(), k.stories(state), true)
	require.NoError(t, err)
	require.Empty(t, none)
	none, err = state.Finish(t.Context(), true)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestOnlyMessagesAboutPaymentsAreOfTheirState(t *testing.T) {
	t.Parallel()
	_, state := restored(t)
	require.Empty(t, state.Key(messages.Message{Event: messages.OrderPlaced{OrderID: "o1"}}))
	require.Empty(t, state.Key(messages.Message{Event: messages.NotificationRequested{OrderID: "o1"}}))
	require.Equal(t, "o1", state.Key(messages.Message{Event: messages.PaymentFailed{OrderID: "o1"}}))
	_, err := payments.NewState(nil, "nobody://")
	require.Error(t, err)
}
