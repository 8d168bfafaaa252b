package app_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

func (w *world) held() (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT count(*) FROM held_messages`).Scan(&n))
	return n
}

func (w *world) letters() []deadletter.Letter {
	w.t.Helper()
	store := deadletter.NewStore(w.db)
	list, err := store.List(w.t.Context(), deadletter.Filter{Limit: 100})
	require.NoError(w.t, err)
	letters := make([]deadletter.Letter, len(list))
	for i, l := range list {
		letters[i], err = store.Get(w.t.Context(), l.ID)
		require.NoError(w.t, err)
	}
	return letters
}

func TestAPaymentBeforeItsOrderIsAppliedWhenTheOrderArrives(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	m := in(w, captured())
	for range 2 { // redelivered: kept once
		r := w.OnPaymentCaptured(t.Context(), []bus.In[messages.PaymentCaptured]{m})
		require.NoError(t, r[0].Err)
		require.Empty(t, r[0].Publish)
	}
	require.Equal(t, 1, w.held())

	// Nobody delivers what was kept aside again, so what it leads to is in the outbox.
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)), "a paid order does not ask for its payment")
	says(t, w.took(), orderConfirmed(twoOfA()...), confirmed())
	w.is("o", domain.Confirmed, "")
	w.pieces("a", 8, 0, 2)
	require.Zero(t, w.held())
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
	require.Empty(t, w.took())
}

// A mirror gave one payment three places: MirrorMaker 2 of Kafka 4.3.1 made three held messages of one, then three letters.
func TestACopyOfAMessageIsKeptAsideAndParkedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := in(w, captured())
	handle := func() error {
		t.Helper()
		m.Record.Partition++
		m.Record.Offset += 100
		return w.OnPaymentCaptured(t.Context(), []bus.In[messages.PaymentCaptured]{m})[0].Err
	}
	for range 3 {
		require.NoError(t, handle())
	}
	require.Equal(t, 1, w.held())
	w.clock.pass(heldTimeout)
	n, err := w.ParkHeld(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, app.ReasonUnknownOrder, fault.Reason(handle()), "a copy of what waited in vain does not wait again")
	require.Zero(t, w.held())
	require.Len(t, w.letters(), 1)

	m.Record.Time = m.Record.Time.Add(time.Millisecond) // another record
	require.NoError(t, handle())
	require.Equal(t, 1, w.held())
}

func TestAPaymentBeforeItsOrderFromHTTP(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	deliver(w, w.OnPaymentCaptured, captured())
	w.place(lines("a", 2))
	placed := w.took()[0].Event.(messages.OrderPlaced)
	deliver(w, w.OnOrderPlaced, placed)
	w.is("o", domain.Confirmed, "")
	says(t, w.took(), orderConfirmed(twoOfA()...), confirmed())
}

func TestAFailedPaymentBeforeItsOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	deliver(w, w.OnPaymentFailed, paymentFailed("card_declined"))
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
	says(t, w.took(), mail("failed", "Order o failed: card declined."))
	w.is("o", domain.Failed, "card_declined")
	w.pieces("a", 10, 0, 0)
}

func TestAPaymentBeforeAnOrderThatIsShort(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 1)
	deliver(w, w.OnPaymentCaptured, captured())
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
	says(t, w.took(), refund("short", "out_of_stock"))
	w.is("o", domain.Cancelling, "out_of_stock")
}

func TestAPaymentBeforeAnOrderThatWeDoNotSell(t *testing.T) {
	t.Parallel()
	w := setup(t)
	deliver(w, w.OnPaymentCaptured, captured())
	require.Len(t, deliver(w, w.OnOrderPlaced, of("unheard of", 2)), 2)
	says(t, w.took(), refund("late", "order_rejected"))
	w.is("o", domain.Rejected, "unknown_sku")
}

func TestAPaymentBeforeItsOrderThatContradictsItIsParked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	e := captured()
	e.Amount = usd(999)
	deliver(w, w.OnPaymentCaptured, e)
	says(t, deliver(w, w.OnOrderPlaced, plain()), requested())
	w.is("o", domain.AwaitingPayment, "")
	require.Zero(t, w.held())
	letters := w.letters()
	require.Len(t, letters, 1)
	require.Equal(t, app.ReasonContradictsState, letters[0].Reason)
}

func TestAMessageThatWaitsInVainIsParkedAsItWasRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := in(w, captured())
	handle := func() bus.Result {
		t.Helper()
		return w.OnPaymentCaptured(t.Context(), []bus.In[messages.PaymentCaptured]{m})[0]
	}
	require.NoError(t, handle().Err)
	park := func() int {
		t.Helper()
		n, err := w.ParkHeld(t.Context())
		require.NoError(t, err)
		return n
	}
	w.clock.pass(heldTimeout - time.Second)
	require.Zero(t, park())
	w.clock.pass(time.Second)
	require.Equal(t, 1, park())
	require.Zero(t, park())
	require.Zero(t, w.held())
	letters := w.letters()
	require.Len(t, letters, 1)
	require.Equal(t, app.ReasonUnknownOrder, letters[0].Reason)
	require.Equal(t, m.Record.Value, letters[0].Record.Value)
	require.Equal(t, m.Record.Key, letters[0].Record.Key)
	require.Equal(t, m.Record.Headers, letters[0].Record.Headers)
	require.Equal(t, m.Record.Offset, letters[0].Record.Offset)

	// Replayed while nobody knows the order, it fails again at once: it has waited.
	require.Equal(t, app.ReasonUnknownOrder, fault.Reason(handle().Err))
	require.Zero(t, w.held())
	// And works once the order is there.
	deliver(w, w.OnOrderPlaced, plain())
	says(t, handle().Publish, orderConfirmed(), confirmed())
}

// The order arrives and its payment is judged at the same time, on two replicas: the payment must not stay aside.
func TestRaceOfAnOrderAndItsPayment(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const orders = 15
	var wg sync.WaitGroup
	for i := range orders {
		id := fmt.Sprintf("o%d", i)
		placed, paid := plain(), captured()
		placed.OrderID, paid.OrderID = id, id
		start := make(chan struct{})
		first := []bus.In[messages.OrderPlaced]{in(w, placed)}
		second := []bus.In[messages.PaymentCaptured]{in(w, paid)}
		wg.Go(func() {
			<-start
			if i%2 == 0 {
				require.NoError(t, w.OnOrderPlaced(t.Context(), first)[0].Err)
				return
			}
			_, err := w.PlaceOrder(t.Context(), domain.Placement{OrderID: id, UserID: "u", Total: usd(1000), HasTotal: true}, nil, nil)
			require.NoError(t, err)
			require.NoError(t, w.OnOrderPlaced(t.Context(), first)[0].Err)
		})
		wg.Go(func() {
			<-start
			require.NoError(t, w.OnPaymentCaptured(t.Context(), second)[0].Err)
		})
		close(start)
	}
	wg.Wait()
	require.Zero(t, w.held())
	for i := range orders {
		w.is(fmt.Sprintf("o%d", i), domain.Confirmed, "")
	}
}
