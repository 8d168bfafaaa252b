package app_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

func lines(sku string, quantity int) domain.Placement {
	return domain.Placement{OrderID: "o", UserID: "u", Lines: []domain.Line{{SKU: sku, Quantity: quantity}}}
}

func TestPlaceOrderKeepsTheOrderAndItsMessage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	p := lines("a", 2)
	p.Email, p.PaymentMethod, p.TraceParent = "u@example.com", "pm_card_visa", messages.NewTraceParent()
	placed, err := w.PlaceOrder(t.Context(), p, nil, nil)
	require.NoError(t, err)
	require.True(t, placed.Created)
	require.Equal(t, w.order("o"), placed.Order)
	w.is("o", domain.Pending, "")
	w.pieces("a", 10, 0, 0)

	got := w.took()
	says(t, got, msg("placed", messages.OrderPlaced{OrderID: "o", UserID: "u", Total: usd(1000), HasTotal: true,
		Items: got[0].Event.(messages.OrderPlaced).Items, PaymentMethod: "pm_card_visa", Email: "u@example.com"}))
	require.Equal(t, p.TraceParent, got[0].TraceParent)
	require.Equal(t, 2, got[0].Event.(messages.OrderPlaced).Items[0].Quantity)

	// What was published leads on.
	require.Len(t, deliver(w, w.OnOrderPlaced, got[0].Event.(messages.OrderPlaced)), 1)
	w.is("o", domain.AwaitingPayment, "")
	w.pieces("a", 8, 2, 0)
	require.Equal(t, "u@example.com", w.order("o").Email)
}

func TestPlaceOrderOfAPlainTotalNamesItself(t *testing.T) {
	t.Parallel()
	w := setup(t)
	o := w.place(domain.Placement{UserID: "u", Total: usd(4999), HasTotal: true})
	require.Equal(t, "generated-1", o.ID)
	require.Equal(t, usd(4999), w.order(o.ID).Total)
	require.Len(t, w.took(), 1)
}

func TestPlaceOrderAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	w.place(lines("a", 2))
	w.took()
	placed, err := w.PlaceOrder(t.Context(), lines("a", 2), nil, nil)
	require.NoError(t, err)
	require.False(t, placed.Created)
	require.Equal(t, w.order("o"), placed.Order)
	require.Empty(t, w.took())
	_, err = w.PlaceOrder(t.Context(), lines("a", 3), nil, nil)
	require.ErrorIs(t, err, domain.ErrContradiction)
}

func TestPlaceOrderRefusesWhatTheCatalogueContradicts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	_, _, err := w.PutProduct(t.Context(), "euro", "Priced in euros", messages.Money{Minor: 1, Currency: "EUR"})
	require.NoError(t, err)
	_, _, err = w.PutProduct(t.Context(), "gold", "Dear", usd(messages.MaxMinor))
	require.NoError(t, err)
	w.took() // the events of both
	mixed := lines("a", 1)
	mixed.Lines = append(mixed.Lines, domain.Line{SKU: "euro", Quantity: 1})
	total := lines("a", 2)
	total.Total, total.HasTotal = usd(999), true
	foreign := lines("a", 2)
	foreign.Currency = "EUR"
	for _, c := range []struct {
		p    domain.Placement
		want error
	}{
		{lines("unheard of", 1), domain.ErrUnknownSKU},
		{total, domain.ErrTotalMismatch},
		{mixed, domain.ErrNotPriceable},
		{foreign, domain.ErrNotPriceable},
		{lines("gold", 2), domain.ErrNotPriceable},
	} {
		_, err := w.PlaceOrder(t.Context(), c.p, &app.Idempotency{Key: "k", RequestHash: []byte("1")}, render("x"))
		require.ErrorIs(t, err, c.want)
	}
	var unknown *domain.UnknownSKUError
	_, err = w.PlaceOrder(t.Context(), lines("unheard of", 1), nil, nil)
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, []string{"unheard of"}, unknown.SKUs)
	require.Empty(t, w.took())
	_, err = w.Order(t.Context(), "o")
	require.ErrorIs(t, err, app.ErrNotFound)

	// The key is still free.
	placed, err := w.PlaceOrder(t.Context(), lines("a", 2), &app.Idempotency{Key: "k", RequestHash: []byte("2")}, render("x"))
	require.NoError(t, err)
	require.True(t, placed.Created)
	require.Equal(t, usd(1000), placed.Order.Total)

	// The currency is the catalogue's.
	e := lines("euro", 3)
	e.OrderID = "e"
	require.Equal(t, messages.Money{Minor: 3, Currency: "EUR"}, w.place(e).Total)
}

func render(body string) func(app.Placed) (app.Answer, error) {
	return func(p app.Placed) (app.Answer, error) {
		return app.Answer{Status: 202, Location: "/orders/" + p.Order.ID, ETag: `"1"`, Body: []byte(body)}, nil
	}
}

func TestIdempotencyKeyGivesTheSameAnswerAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p := domain.Placement{UserID: "u", Total: usd(1000), HasTotal: true}
	key := app.Idempotency{Key: "k", RequestHash: []byte{1, 0}}
	first, err := w.PlaceOrder(t.Context(), p, &key, render("first\x00\xff"))
	require.NoError(t, err)
	require.Nil(t, first.Replayed)
	w.took()

	again, err := w.replica().PlaceOrder(t.Context(), p, &key, render("second"))
	require.NoError(t, err)
	require.Equal(t, &app.Answer{Status: 202, Location: "/orders/" + first.Order.ID, ETag: `"1"`, Body: []byte("first\x00\xff")}, again.Replayed)
	require.Empty(t, w.took())

	_, err = w.PlaceOrder(t.Context(), p, &app.Idempotency{Key: "k", RequestHash: []byte{2}}, render("third"))
	require.ErrorIs(t, err, app.ErrKeyReused)

	// A day later it is forgotten.
	w.clock.pass(25 * time.Hour)
	n, err := w.PruneKeys(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = w.PruneKeys(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	fresh, err := w.PlaceOrder(t.Context(), p, &key, render("fresh"))
	require.NoError(t, err)
	require.True(t, fresh.Created)
}

func TestIdempotencyKeyIsFreeAfterAFailure(t *testing.T) {
	t.Parallel()
	w := setup(t)
	boom := errors.New("boom")
	key := app.Idempotency{Key: "k", RequestHash: []byte{1}}
	p := domain.Placement{OrderID: "o", UserID: "u", Total: usd(1000), HasTotal: true}
	_, err := w.PlaceOrder(t.Context(), p, &key, func(app.Placed) (app.Answer, error) { return app.Answer{}, boom })
	require.ErrorIs(t, err, boom)
	_, err = w.Order(t.Context(), "o")
	require.ErrorIs(t, err, app.ErrNotFound)
	placed, err := w.PlaceOrder(t.Context(), p, &key, render("x"))
	require.NoError(t, err)
	require.True(t, placed.Created)
}

func TestIdempotencyKeyIsBusyWhileTheRequestRuns(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := app.Idempotency{Key: "k", RequestHash: []byte{1}, RunningFor: 10 * time.Second}
	p := domain.Placement{OrderID: "o", UserID: "u", Total: usd(1000), HasTotal: true}
	busy := func() {
		t.Helper()
		_, err := w.replica().PlaceOrder(t.Context(), p, &key, render("other"))
		require.ErrorIs(t, err, app.ErrKeyBusy)
	}
	_, err := w.PlaceOrder(t.Context(), p, &key, func(p app.Placed) (app.Answer, error) {
		busy() // in the middle of the transaction
		return render("accepted")(p)
	})
	require.NoError(t, err)
	busy() // its final answer is still to come

	require.NoError(t, w.FinishAnswer(t.Context(), key, app.Answer{Status: 200, Location: "/orders/o", ETag: `"3"`, Body: []byte("settled")}))
	placed, err := w.PlaceOrder(t.Context(), p, &key, render("other"))
	require.NoError(t, err)
	require.Equal(t, "settled", string(placed.Replayed.Body))
	require.Equal(t, 200, placed.Replayed.Status)

	// A final answer is final.
	require.NoError(t, w.FinishAnswer(t.Context(), key, app.Answer{Status: 202, Body: []byte("late")}))
	placed, err = w.PlaceOrder(t.Context(), p, &key, render("other"))
	require.NoError(t, err)
	require.Equal(t, "settled", string(placed.Replayed.Body))
}

func TestIdempotencyKeyOfARequestThatDiedGivesItsFirstAnswer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := app.Idempotency{Key: "k", RequestHash: []byte{1}, RunningFor: 10 * time.Second}
	p := domain.Placement{OrderID: "o", UserID: "u", Total: usd(1000), HasTotal: true}
	_, err := w.PlaceOrder(t.Context(), p, &key, render("accepted"))
	require.NoError(t, err)
	w.clock.pass(11 * time.Second)
	placed, err := w.PlaceOrder(t.Context(), p, &key, render("other"))
	require.NoError(t, err)
	require.Equal(t, "accepted", string(placed.Replayed.Body))
}

func TestRaceForOneIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := app.Idempotency{Key: "k", RequestHash: []byte{1}}
	start := make(chan struct{})
	type outcome struct {
		placed app.Placed
		err    error
	}
	outcomes := make([]outcome, 10)
	var wg sync.WaitGroup
	for i := range outcomes {
		r := w.replica()
		wg.Go(func() {
			<-start
			p := domain.Placement{UserID: "u", Total: usd(1000), HasTotal: true}
			outcomes[i].placed, outcomes[i].err = r.PlaceOrder(t.Context(), p, &key, render("x"))
		})
	}
	close(start)
	wg.Wait()
	created := 0
	for _, o := range outcomes {
		switch {
		case o.err != nil:
			require.ErrorIs(t, o.err, app.ErrKeyBusy)
		case o.placed.Replayed != nil:
		default:
			created++
		}
	}
	require.Equal(t, 1, created)
	var n int
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&n))
	require.Equal(t, 1, n)
}

func TestCancelOrder(t *testing.T) {
	t.Parallel()
	for _, status := range domain.Statuses() {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(status)
			before := w.dump()
			o, err := w.CancelOrder(t.Context(), "o")
			switch status {
			case domain.Pending:
				require.NoError(t, err)
				w.is("o", domain.Cancelled, "cancelled_by_user")
				says(t, w.took(), orderCancelled("http", "", twoOfA()...), mail("cancelled", "Order o was cancelled."))
				require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)), "its message comes too late")
				w.pieces("a", 10, 0, 0)
			case domain.AwaitingPayment, domain.Confirmed:
				require.NoError(t, err)
				w.is("o", domain.Cancelling, "cancelled_by_user")
				says(t, w.took(), refund("cancel", "cancelled_by_user"))
				require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
			case domain.Cancelling, domain.Cancelled:
				require.NoError(t, err)
				require.Equal(t, before, w.dump())
			default:
				require.ErrorIs(t, err, domain.ErrNotCancellable)
				require.Equal(t, before, w.dump())
			}
			require.Equal(t, w.order("o"), o)
			again, err := w.CancelOrder(t.Context(), "o")
			if status != domain.Rejected && status != domain.Failed {
				require.NoError(t, err)
			}
			require.Equal(t, o, again)
			require.Empty(t, w.took())
		})
	}
}

func TestCancelOrderUnknown(t *testing.T) {
	t.Parallel()
	_, err := setup(t).CancelOrder(t.Context(), "o")
	require.ErrorIs(t, err, app.ErrNotFound)
}
