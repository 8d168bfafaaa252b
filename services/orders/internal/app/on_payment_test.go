package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// bring leads order "o" of two pieces of "a", of which there are ten, to a status.
func (w *world) bring(status domain.Status) {
	w.t.Helper()
	w.product("a", 500, 10)
	switch status {
	case domain.Pending:
		w.place(domain.Placement{OrderID: "o", UserID: "u", Lines: []domain.Line{{SKU: "a", Quantity: 2}}})
	case domain.AwaitingPayment:
		deliver(w, w.OnOrderPlaced, of("a", 2))
	case domain.Confirmed:
		deliver(w, w.OnOrderPlaced, of("a", 2))
		deliver(w, w.OnPaymentCaptured, captured())
	case domain.Failed:
		deliver(w, w.OnOrderPlaced, of("a", 2))
		deliver(w, w.OnPaymentFailed, paymentFailed("card_declined"))
	case domain.Rejected:
		e := of("a", 2)
		_, err := w.db.Exec(w.t.Context(), `UPDATE inventory SET available = 0, stocked = 0 WHERE sku = 'a'`)
		require.NoError(w.t, err)
		deliver(w, w.OnOrderPlaced, e)
		_, err = w.db.Exec(w.t.Context(), `UPDATE inventory SET available = 10, stocked = 10 WHERE sku = 'a'`)
		require.NoError(w.t, err)
	case domain.Cancelling:
		deliver(w, w.OnOrderPlaced, of("a", 2))
		w.cancel()
	case domain.Cancelled:
		deliver(w, w.OnOrderPlaced, of("a", 2))
		w.cancel()
		deliver(w, w.OnPaymentRefunded, voided())
	}
	require.Equal(w.t, status, w.order("o").Status)
	w.took()
}

func (w *world) place(p domain.Placement) domain.Order {
	w.t.Helper()
	placed, err := w.PlaceOrder(w.t.Context(), p, nil, nil)
	require.NoError(w.t, err)
	return placed.Order
}

func (w *world) cancel() {
	w.t.Helper()
	_, err := w.CancelOrder(w.t.Context(), "o")
	require.NoError(w.t, err)
}

func TestOnPaymentCapturedConfirmsAndSells(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.AwaitingPayment)
	first := deliver(w, w.OnPaymentCaptured, captured())
	says(t, first, orderConfirmed(twoOfA()...), confirmed())
	w.is("o", domain.Confirmed, "")
	w.pieces("a", 8, 0, 2)
	require.Equal(t, "pay-1", w.order("o").PaymentID)

	before := w.dump()
	require.Equal(t, first, deliver(w, w.OnPaymentCaptured, captured()), "the same again")
	require.Equal(t, before, w.dump())
}

func TestOnPaymentCapturedOvertakesTheOrderStep(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Pending)
	says(t, deliver(w, w.OnPaymentCaptured, captured()), orderConfirmed(twoOfA()...), confirmed())
	w.is("o", domain.Confirmed, "")
	w.pieces("a", 8, 0, 2)
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)), "paid already")
	w.pieces("a", 8, 0, 2)
}

func TestOnPaymentCapturedForAPendingOrderThatIsShortAsksTheMoneyBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Pending)
	other := of("a", 9)
	other.OrderID = "other"
	deliver(w, w.OnOrderPlaced, other)

	first := deliver(w, w.OnPaymentCaptured, captured())
	says(t, first, refund("short", "out_of_stock"))
	w.is("o", domain.Cancelling, "out_of_stock")
	require.Equal(t, first, deliver(w, w.OnPaymentCaptured, captured()))
	require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
	refuse(w, w.OnPaymentRefunded, voided(), app.ReasonContradictsState) // but we know of a payment
	says(t, deliver(w, w.OnPaymentRefunded, refunded()), orderFailed("out_of_stock", "pay-1", twoOfA()...), mail("failed", "Order o failed: out of stock."))
	w.is("o", domain.Failed, "out_of_stock")
	require.Empty(t, deliver(w, w.OnPaymentCaptured, captured()), "the money is back already")
	w.pieces("a", 1, 9, 0)
}

func TestOnPaymentCapturedForAnOrderThatEndedAsksTheMoneyBack(t *testing.T) {
	t.Parallel()
	for _, status := range []domain.Status{domain.Rejected, domain.Failed, domain.Cancelled} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(status)
			want := refund("late", "order_"+string(status))
			says(t, deliver(w, w.OnPaymentCaptured, captured()), want)
			before := w.dump()
			says(t, deliver(w, w.OnPaymentCaptured, captured()), want)
			require.Equal(t, before, w.dump())
			require.Empty(t, deliver(w, w.OnPaymentRefunded, refunded()))
			require.Equal(t, status, w.order("o").Status)
			w.pieces("a", 10, 0, 0)
		})
	}
}

func TestOnPaymentCapturedForAnOrderBeingCancelledIsNoted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Cancelling)
	require.Empty(t, deliver(w, w.OnPaymentCaptured, captured()))
	require.Equal(t, "pay-1", w.order("o").PaymentID)
	before := w.dump()
	require.Empty(t, deliver(w, w.OnPaymentCaptured, captured()))
	require.Equal(t, before, w.dump())
	w.pieces("a", 8, 2, 0)
}

func TestOnPaymentCapturedThatContradictsIsParked(t *testing.T) {
	t.Parallel()
	for _, status := range domain.Statuses() {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(status)
			for _, change := range []func(e *messages.PaymentCaptured){
				func(e *messages.PaymentCaptured) { e.Amount = usd(999) },
				func(e *messages.PaymentCaptured) { e.Amount.Currency = "EUR" },
				func(e *messages.PaymentCaptured) { e.UserID = "v" },
			} {
				e := captured()
				change(&e)
				refuse(w, w.OnPaymentCaptured, e, app.ReasonContradictsState)
			}
			if status == domain.Confirmed {
				e := captured()
				e.PaymentID = "pay-2"
				refuse(w, w.OnPaymentCaptured, e, app.ReasonContradictsState)
			}
		})
	}
}

func TestOnPaymentFailed(t *testing.T) {
	t.Parallel()
	for _, status := range domain.Statuses() {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(status)
			before := w.dump()
			switch status {
			case domain.Pending, domain.AwaitingPayment:
				first := deliver(w, w.OnPaymentFailed, paymentFailed("insufficient_funds"))
				says(t, first, mail("failed", "Order o failed: insufficient funds."))
				w.is("o", domain.Failed, "insufficient_funds")
				w.pieces("a", 10, 0, 0)
				before = w.dump()
				require.Equal(t, first, deliver(w, w.OnPaymentFailed, paymentFailed("insufficient_funds")))
				require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)))
			case domain.Confirmed:
				refuse(w, w.OnPaymentFailed, paymentFailed("card_declined"), app.ReasonContradictsState)
			case domain.Failed:
				says(t, deliver(w, w.OnPaymentFailed, paymentFailed("card_declined")), mail("failed", "Order o failed: card declined."))
				require.Empty(t, deliver(w, w.OnPaymentFailed, paymentFailed("another reason")))
			default:
				require.Empty(t, deliver(w, w.OnPaymentFailed, paymentFailed("card_declined")))
			}
			require.Equal(t, before, w.dump())
			e := paymentFailed("card_declined")
			e.UserID = "v"
			refuse(w, w.OnPaymentFailed, e, app.ReasonContradictsState)
		})
	}
}

func TestOnPaymentRefunded(t *testing.T) {
	t.Parallel()
	for _, status := range domain.Statuses() {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(status)
			before := w.dump()
			switch status {
			case domain.Pending, domain.AwaitingPayment, domain.Confirmed:
				other := refunded()
				other.Amount = usd(999)
				refuse(w, w.OnPaymentRefunded, other, app.ReasonContradictsState)
				if status == domain.Confirmed {
					other = refunded()
					other.PaymentID = "pay-2"
					refuse(w, w.OnPaymentRefunded, other, app.ReasonContradictsState)
					refuse(w, w.OnPaymentRefunded, voided(), app.ReasonContradictsState)
				}
				require.Equal(t, before, w.dump())
				first := deliver(w, w.OnPaymentRefunded, refunded())
				says(t, first, orderLost("pay-1", twoOfA()...), mail("cancelled", "Order o was cancelled. Your payment of 10.00 USD was given back."))
				w.is("o", domain.Cancelled, "payment_refunded")
				w.pieces("a", 10, 0, 0)
				before = w.dump()
				require.Equal(t, first, deliver(w, w.OnPaymentRefunded, refunded()))
				require.Empty(t, deliver(w, w.OnOrderPlaced, of("a", 2)), "a repetition of any message has no effect")
				require.Empty(t, deliver(w, w.OnPaymentCaptured, captured()))
				require.Empty(t, deliver(w, w.OnPaymentFailed, paymentFailed("card_declined")))
			case domain.Cancelling:
				first := deliver(w, w.OnPaymentRefunded, voided())
				says(t, first, orderCancelled("payment_refunded", "", twoOfA()...), mail("cancelled", "Order o was cancelled."))
				w.is("o", domain.Cancelled, "cancelled_by_user")
				w.pieces("a", 10, 0, 0)
				before = w.dump()
				require.Equal(t, first, deliver(w, w.OnPaymentRefunded, voided()))
			case domain.Cancelled:
				says(t, deliver(w, w.OnPaymentRefunded, voided()), orderCancelled("payment_refunded", "", twoOfA()...), mail("cancelled", "Order o was cancelled."))
			default:
				require.Empty(t, deliver(w, w.OnPaymentRefunded, refunded()))
			}
			require.Equal(t, before, w.dump())
			e := refunded()
			e.Amount = usd(1)
			refuse(w, w.OnPaymentRefunded, e, app.ReasonContradictsState)
		})
	}
}

// A payment that was voided before it was captured cannot come any more: the order need not wait for its time-out.
func TestOnPaymentRefundedOfNothingEndsAnOrderThatWaitsForItsPayment(t *testing.T) {
	t.Parallel()
	for _, status := range []domain.Status{domain.Pending, domain.AwaitingPayment} {
		w := setup(t)
		w.bring(status)
		first := deliver(w, w.OnPaymentRefunded, voided())
		says(t, first, orderLost("", twoOfA()...), mail("cancelled", "Order o was cancelled."))
		w.is("o", domain.Cancelled, "payment_refunded")
		w.pieces("a", 10, 0, 0)
		require.Equal(t, first, deliver(w, w.OnPaymentRefunded, voided()))
		// Should the payment come all the same, no money is kept.
		says(t, deliver(w, w.OnPaymentCaptured, captured()), refund("late", "order_cancelled"))
	}
}

func TestOnPaymentRefundedRestocksWhatWasSold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Confirmed)
	w.cancel()
	says(t, w.took(), refund("cancel", "cancelled_by_user"))
	w.pieces("a", 8, 0, 2)
	says(t, deliver(w, w.OnPaymentRefunded, refunded()),
		orderCancelled("payment_refunded", "pay-1", twoOfA()...), mail("cancelled", "Order o was cancelled. Your payment of 10.00 USD was given back."))
	w.pieces("a", 10, 0, 0)
	w.is("o", domain.Cancelled, "cancelled_by_user")
}

func TestOnPaymentRefundedForAnUnknownOrderIsParked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	refuse(w, w.OnPaymentRefunded, refunded(), app.ReasonUnknownOrder)
}
