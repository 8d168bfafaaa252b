package app_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

func TestOnOrderPlacedAsksForThePaymentOfAPlainOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	says(t, deliver(w, w.OnOrderPlaced, plain()), requested())
	w.is("o", domain.AwaitingPayment, "")
	o := w.order("o")
	require.Equal(t, w.clock.Now().Add(paymentTimeout), o.DueAt)
	require.Empty(t, w.took(), "what a message leads to does not go through the outbox")
}

func TestOnOrderPlacedReservesAllLinesOrNone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 200, 10)
	w.product("b", 300, 1)
	e := of("a", 2)
	e.Items, e.Email = append(e.Items, messages.Item{SKU: "b", Quantity: 2}), "ada@example.com"
	rejected := messages.OrderRejected{OrderID: "o", UserID: "u", Total: usd(1000), Reason: "out_of_stock",
		Items: []messages.Item{{SKU: "a", Quantity: 2, UnitPrice: ptr(usd(200))}, {SKU: "b", Quantity: 2, UnitPrice: ptr(usd(300))}}}
	got := deliver(w, w.OnOrderPlaced, e)
	require.Len(t, got, 2)
	require.Equal(t, msg("reject", rejected).ID, got[0].ID)
	require.Equal(t, rejected, got[0].Event)
	says(t, got[1:], msg("rejected", messages.NotificationRequested{UserID: "u", OrderID: "o", Kind: "rejected", Channel: "email",
		Message: "Order o was rejected: out of stock.", To: "ada@example.com"}))
	w.is("o", domain.Rejected, "out_of_stock")
	w.pieces("a", 10, 0, 0)
	w.pieces("b", 1, 0, 0)

	e.OrderID, e.Items[1].Quantity = "p", 1
	require.Len(t, deliver(w, w.OnOrderPlaced, e), 1)
	w.pieces("a", 8, 2, 0)
	w.pieces("b", 0, 1, 0)
	require.Equal(t, usd(700), w.order("p").Total)
}

func ptr[T any](v T) *T { return &v }

func TestOnOrderPlacedRejectsWhatWeDoNotSell(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 200, 10)
	e := of("a", 1)
	e.Items = append(e.Items, messages.Item{SKU: "unheard of", Quantity: 1})
	got := deliver(w, w.OnOrderPlaced, e)
	require.Equal(t, "unknown_sku", got[0].Event.(messages.OrderRejected).Reason)
	require.NoError(t, got[0].Event.Validate())
	w.is("o", domain.Rejected, "unknown_sku")
	w.pieces("a", 10, 0, 0)
	require.Len(t, w.order("o").Lines, 2)
	require.Equal(t, got, deliver(w, w.OnOrderPlaced, e))
}

func TestOnOrderPlacedTwiceSaysTheSameAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	first := deliver(w, w.OnOrderPlaced, of("a", 2))
	before := w.dump()
	// Killed between commit and publish, or delivered twice: the same messages, and nothing else.
	require.Equal(t, first, deliver(w, w.OnOrderPlaced, of("a", 2)))
	require.Equal(t, before, w.dump())
	w.pieces("a", 8, 2, 0)

	// Once the order has gone on, the message has nothing to say any more.
	deliver(w, w.OnPaymentCaptured, captured())
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
}

func TestOnOrderPlacedComparesWhatIsRepeated(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	w.product("b", 300, 10)
	e := of("a", 2)
	e.Items = append(e.Items, messages.Item{SKU: "b", Quantity: 1})
	deliver(w, w.OnOrderPlaced, e)
	_, _, err := w.PutProduct(t.Context(), "a", "dearer", usd(900))
	require.NoError(t, err)

	same := map[string]func(e *messages.OrderPlaced){
		"lines in another order":   func(e *messages.OrderPlaced) { e.Items = []messages.Item{e.Items[1], e.Items[0]} },
		"the total spelled out":    func(e *messages.OrderPlaced) { e.Total, e.HasTotal = usd(1300), true },
		"the default method named": func(e *messages.OrderPlaced) { e.PaymentMethod = "pm_card_visa" },
	}
	for name, change := range same {
		c := e
		change(&c)
		require.Len(t, deliver(w, w.OnOrderPlaced, c), 1, name)
	}
	other := map[string]func(e *messages.OrderPlaced){
		"user":     func(e *messages.OrderPlaced) { e.UserID = "v" },
		"total":    func(e *messages.OrderPlaced) { e.Total, e.HasTotal = usd(1301), true },
		"currency": func(e *messages.OrderPlaced) { e.Total.Currency = "EUR" },
		"method":   func(e *messages.OrderPlaced) { e.PaymentMethod = "pm_card_chargeDeclined" },
		"email":    func(e *messages.OrderPlaced) { e.Email = "u@example.com" },
		"quantity": func(e *messages.OrderPlaced) { e.Items = []messages.Item{{SKU: "a", Quantity: 1}, e.Items[1]} },
		"fewer":    func(e *messages.OrderPlaced) { e.Items = e.Items[:1] },
	}
	for name, change := range other {
		t.Log(name)
		c := e
		change(&c)
		refuse(w, w.OnOrderPlaced, c, app.ReasonContradictsState)
	}
}

func TestOnOrderPlacedParksATotalThatTheCatalogueContradicts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	e := of("a", 2)
	e.Total, e.HasTotal = usd(999), true
	refuse(w, w.OnOrderPlaced, e, app.ReasonTotalMismatch)
	e.Total = messages.Money{Minor: 1000, Currency: "EUR"}
	refuse(w, w.OnOrderPlaced, e, app.ReasonNotPriceable)
	e.Total = usd(1000)
	require.Len(t, deliver(w, w.OnOrderPlaced, e), 1)
}

func TestABatchIsDecidedMessageByMessage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("last", 500, 1)
	var batch []bus.In[messages.OrderPlaced]
	add := func(id string, change func(e *messages.OrderPlaced)) {
		e := of("last", 1)
		e.OrderID = id
		if change != nil {
			change(&e)
		}
		batch = append(batch, in(w, e))
	}
	add("mismatch", func(e *messages.OrderPlaced) { e.Total, e.HasTotal = usd(1), true })
	add("first", nil)
	add("second", nil)
	add("first", nil)
	add("first", func(e *messages.OrderPlaced) { e.UserID = "somebody else" })
	r := w.OnOrderPlaced(t.Context(), batch)
	require.Len(t, r, 5)
	require.Equal(t, app.ReasonTotalMismatch, fault.Reason(r[0].Err))
	require.NoError(t, errors.Join(r[1].Err, r[2].Err, r[3].Err))
	require.IsType(t, messages.PaymentRequested{}, r[1].Publish[0].Event)
	require.IsType(t, messages.OrderRejected{}, r[2].Publish[0].Event)
	require.Equal(t, r[1].Publish, r[3].Publish)
	require.Equal(t, app.ReasonContradictsState, fault.Reason(r[4].Err))
	w.is("first", domain.AwaitingPayment, "")
	w.is("second", domain.Rejected, "out_of_stock")
	w.pieces("last", 0, 1, 0)
	_, err := w.Order(t.Context(), "mismatch")
	require.ErrorIs(t, err, app.ErrNotFound)
}

func TestADatabaseThatIsAwayIsTransientForAll(t *testing.T) {
	t.Parallel()
	w := setup(t)
	batch := []bus.In[messages.OrderPlaced]{in(w, plain()), in(w, plain())}
	w.db.Close()
	for _, r := range w.OnOrderPlaced(t.Context(), batch) {
		require.Error(t, r.Err)
		require.Equal(t, fault.Transient, fault.KindOf(r.Err))
	}
}

// blocked waits, asking over door's connection, until so many sessions of this test's database wait for a lock.
func (w *world) blocked(door pgx.Tx, n int) {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		var got int
		err := door.QueryRow(w.t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_locks
			WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&got)
		if err != nil || got < n {
			return fmt.Errorf("%d sessions wait: %w", got, err)
		}
		return nil
	})
}

func TestRaceForTheLastPiece(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("last", 500, 1)
	w.product("plenty", 100, 1000)
	const buyers = 12
	start := make(chan struct{})
	// All have read what there is by the time that the first one may take it.
	door, err := w.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = door.Exec(t.Context(), `SELECT FROM inventory WHERE sku = 'last' FOR UPDATE`)
	require.NoError(t, err)
	results := make([]bus.Result, buyers)
	var wg sync.WaitGroup
	for i := range buyers {
		e := of("last", 1)
		e.OrderID = fmt.Sprintf("o%d", i)
		e.Items = append(e.Items, messages.Item{SKU: "plenty", Quantity: 1})
		if i%2 == 0 { // two who name them in different order must not wait for each other
			e.Items[0], e.Items[1] = e.Items[1], e.Items[0]
		}
		batch := []bus.In[messages.OrderPlaced]{in(w, e)}
		wg.Go(func() {
			<-start
			results[i] = w.OnOrderPlaced(t.Context(), batch)[0]
		})
	}
	close(start)
	w.blocked(door, 2)
	require.NoError(t, door.Rollback(t.Context()))
	wg.Wait()
	winners := 0
	for _, r := range results {
		require.NoError(t, r.Err)
		if _, ok := r.Publish[0].Event.(messages.PaymentRequested); ok {
			winners++
		}
	}
	require.Equal(t, 1, winners)
	w.pieces("last", 0, 1, 0)
	w.pieces("plenty", 999, 1, 0)
}

func TestRaceForOneOrder(t *testing.T) {
	t.Parallel()
	for name, placed := range map[string]bool{"from Kafka": false, "from HTTP": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raceForOneOrder(t, placed)
		})
	}
}

func raceForOneOrder(t *testing.T, placed bool) {
	w := setup(t)
	w.product("a", 500, 100)
	release := func() {}
	if placed { // they meet at the order's row
		w.place(lines("a", 2))
		door, err := w.db.Begin(t.Context())
		require.NoError(t, err)
		_, err = door.Exec(t.Context(), `SELECT FROM orders FOR NO KEY UPDATE`)
		require.NoError(t, err)
		release = func() {
			w.blocked(door, 2)
			require.NoError(t, door.Rollback(t.Context()))
		}
	}
	start := make(chan struct{})
	results := make([]bus.Result, 8)
	var wg sync.WaitGroup
	for i := range results {
		batch := []bus.In[messages.OrderPlaced]{in(w, of("a", 2))}
		wg.Go(func() {
			<-start
			results[i] = w.OnOrderPlaced(t.Context(), batch)[0]
		})
	}
	close(start)
	release()
	wg.Wait()
	for _, r := range results {
		require.NoError(t, r.Err)
		require.Len(t, r.Publish, 1)
		require.Equal(t, results[0].Publish, r.Publish)
	}
	w.pieces("a", 98, 2, 0)
}
