package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider/simulated"
)

func TestOnPaymentRequestedCaptures(t *testing.T) {
	t.Parallel()
	w := setup(t)

	result := request(t, w.App, ask("o1", 4999))[0]

	entries := w.ledger("o1")
	require.Len(t, entries, 1)
	require.Equal(t, "charged", entries[0].Status)
	require.EqualValues(t, 4999, entries[0].AmountMinor)
	require.Equal(t, []messages.Event{messages.PaymentCaptured{OrderID: "o1", UserID: "u1", Amount: usd(4999),
		PaymentID: entries[0].PaymentID}}, published(t, result))
	require.Equal(t, messages.ID("o1", messages.EventPaymentCaptured, "capture"), result.Publish[0].ID)
	p := w.payment("o1")
	require.Equal(t, domain.Captured, p.Status)
	require.Equal(t, entries[0].PaymentID, p.PaymentID)
	require.Equal(t, messages.DefaultPaymentMethod, p.Method)
}

func TestOnPaymentRequestedDeclined(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for method, reason := range map[string]string{
		simulated.MethodDeclined:          "card_declined",
		simulated.MethodInsufficientFunds: "insufficient_funds",
		"pm_card_of_nobody":               "unknown_payment_method",
	} {
		e := askWith("order of "+method, 4999, method)
		first := request(t, w.App, e)[0]
		require.Equal(t, []messages.Event{messages.PaymentFailed{OrderID: e.OrderID, UserID: "u1", Total: usd(4999), Reason: reason}},
			published(t, first))
		require.Equal(t, messages.ID(e.OrderID, messages.EventPaymentFailed, "fail"), first.Publish[0].ID)
		require.Equal(t, first, request(t, w.App, e)[0], "a repetition is answered the same")
		require.Equal(t, "declined", w.ledger(e.OrderID)[0].Status)
		require.Equal(t, 1, w.ledger(e.OrderID)[0].ChargeCalls)
	}
}

func TestOnPaymentRequestedSuspectsFraud(t *testing.T) {
	t.Parallel()
	w := setup(t)

	first := request(t, w.App, ask("o1", 90001))[0]
	require.Equal(t, []messages.Event{
		messages.PaymentFailed{OrderID: "o1", UserID: "u1", Total: usd(90001), Reason: "suspected_fraud"},
		messages.NotificationRequested{UserID: "u1", OrderID: "o1", Kind: messages.KindFraudAlert, Channel: messages.ChannelEmail,
			To: "security@example.com", Message: "Suspected fraud: order o1 of user u1 over 900.01 USD was not charged."},
	}, published(t, first))
	require.Empty(t, w.ledger("o1"), "the provider is not asked to charge")
	require.Equal(t, first, request(t, w.App, ask("o1", 90001))[0])

	require.IsType(t, messages.PaymentCaptured{}, published(t, request(t, w.App, ask("o2", 90000))[0])[0], "the limit itself is fine")
}

func TestOnPaymentRequestedFlakyProvider(t *testing.T) {
	t.Parallel()
	w := setup(t)
	e := askWith("o1", 4999, simulated.MethodFlaky)

	for range simulated.FlakyFailures {
		requireTransient(t, request(t, w.App, e)[0])
		require.Equal(t, "erring", w.ledger("o1")[0].Status)
	}
	require.IsType(t, messages.PaymentCaptured{}, published(t, request(t, w.App, e)[0])[0])
	entries := w.ledger("o1")
	require.Len(t, entries, 1)
	require.Equal(t, simulated.FlakyFailures+1, entries[0].ChargeCalls)
}

func TestOnPaymentRequestedTwiceChargesOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)

	first := request(t, w.App, ask("o1", 4999))[0]
	second := request(t, w.App, ask("o1", 4999))[0]
	restarted := request(t, w.other(), ask("o1", 4999))[0] // as after a crash between commit and publish

	require.NotEmpty(t, published(t, first))
	require.Equal(t, first, second)
	require.Equal(t, first, restarted)
	require.Len(t, w.ledger("o1"), 1)
	require.Equal(t, 1, w.ledger("o1")[0].ChargeCalls, "what is decided is not asked again")
}

func TestOnPaymentRequestedCrashes(t *testing.T) {
	t.Parallel()
	tests := map[string]func(w *world){
		"before the charge":                   func(w *world) { w.provider.beforeCharge = once(errDown) },
		"after the charge, its answer lost":   func(w *world) { w.provider.afterCharge = once(errDown) },
		"between charge and commit":           func(w *world) { w.store.beforeOpen = once(errDown) },
		"in the commit, its outcome unknown":  func(w *world) { w.store.afterOpen = once(errDown) },
		"before anything, the database away":  func(w *world) { w.store.beforeRead = once(errDown) },
		"after the commit, before publishing": func(*world) {},
	}
	for name, crash := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			crash(w)
			request(t, w.App, ask("o1", 4999)) // whatever it led to is lost

			result := request(t, w.App, ask("o1", 4999))[0]
			require.IsType(t, messages.PaymentCaptured{}, published(t, result)[0])
			require.Equal(t, result, request(t, w.App, ask("o1", 4999))[0])
			entries := w.ledger("o1")
			require.Len(t, entries, 1, "charged once")
			require.Equal(t, "charged", entries[0].Status)
		})
	}
}

func TestOnPaymentRequestedContradiction(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := request(t, w.App, ask("o1", 4999))[0]

	requireParked(t, request(t, w.App, ask("o1", 5000))[0])
	otherUser := ask("o1", 4999)
	otherUser.UserID = "u2"
	requireParked(t, request(t, w.App, otherUser)[0])
	otherCurrency := ask("o1", 4999)
	otherCurrency.Amount.Currency = "EUR"
	requireParked(t, request(t, w.App, otherCurrency)[0])

	require.Equal(t, first, request(t, w.App, askWith("o1", 4999, simulated.MethodDeclined))[0],
		"another payment method for the same order and money is a repetition")
	require.Len(t, w.ledger("o1"), 1)
	require.Equal(t, "charged", w.ledger("o1")[0].Status)
}

// Two requests that contradict each other were both read before either was decided.
func TestOnPaymentRequestedContradictionInARace(t *testing.T) {
	t.Parallel()
	t.Run("the other one was charged", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.provider.beforeCharge = do(func() { request(t, w.other(), ask("o1", 4999)) })
		requireParked(t, request(t, w.App, ask("o1", 100))[0])
		require.Equal(t, usd(4999), w.payment("o1").Amount)
		require.Equal(t, "charged", w.ledger("o1")[0].Status)
	})
	t.Run("the other one was charged but is not kept yet", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.store.beforeOpen = once(errDown)
		requireTransient(t, request(t, w.App, ask("o1", 4999))[0])

		requireParked(t, request(t, w.App, ask("o1", 100))[0])
		require.IsType(t, messages.PaymentCaptured{}, published(t, request(t, w.App, ask("o1", 4999))[0])[0])
		require.Len(t, w.ledger("o1"), 1)
	})
	t.Run("the other one is suspected of fraud", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.provider.afterCharge = do(func() { request(t, w.other(), ask("o1", 95000)) })
		requireParked(t, request(t, w.App, ask("o1", 100))[0])
		require.Equal(t, domain.Failed, w.payment("o1").Status)
		require.Equal(t, "refunded", w.ledger("o1")[0].Status, "nobody keeps money of an order that failed")
	})
}

func TestOnPaymentRequestedBatch(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, ask("old", 700))
	refund(t, w.App, back("voided", 800))

	results := request(t, w.App,
		ask("o2", 200),
		askWith("o1", 100, simulated.MethodDeclined),
		askWith("o3", 300, simulated.MethodFlaky), // fails just now
		ask("o2", 200), // again
		ask("o2", 201), // contradicts the first
		ask("old", 700),
		ask("voided", 800),
		ask("fraud", 99999),
		askWith("o3", 300, simulated.MethodVisa), // must not overtake the first
	)

	require.IsType(t, messages.PaymentCaptured{}, published(t, results[0])[0])
	require.IsType(t, messages.PaymentFailed{}, published(t, results[1])[0])
	requireTransient(t, results[2])
	require.Equal(t, results[0], results[3])
	requireParked(t, results[4])
	require.IsType(t, messages.PaymentCaptured{}, published(t, results[5])[0])
	require.Empty(t, published(t, results[6]))
	require.Len(t, published(t, results[7]), 2)
	requireTransient(t, results[8])
	for order, status := range map[string]string{"o1": "declined", "o2": "charged", "o3": "erring", "old": "charged"} {
		require.Len(t, w.ledger(order), 1, order)
		require.Equal(t, status, w.ledger(order)[0].Status, order)
		require.Equal(t, 1, w.ledger(order)[0].ChargeCalls, order)
	}
	require.Empty(t, w.ledger("voided"))
}

func TestOnPaymentRequestedBatchWithForeignKeyFirst(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.store.beforeOpen = once(errDown)
	requireTransient(t, request(t, w.App, ask("o1", 4999))[0]) // charged, not kept

	results := request(t, w.App, ask("o1", 100), ask("o1", 4999))
	requireParked(t, results[0])
	requireTransient(t, results[1])
	require.IsType(t, messages.PaymentCaptured{}, published(t, request(t, w.App, ask("o1", 4999))[0])[0])
}

func TestOnPaymentRequestedDatabaseDownFailsTheWholeBatch(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.store.beforeOpen = once(errDown)
	batch := []messages.PaymentRequested{ask("o1", 100), askWith("o2", 200, simulated.MethodDeclined)}
	for _, r := range request(t, w.App, batch...) {
		requireTransient(t, r)
	}
	for _, r := range request(t, w.App, batch...) {
		require.NotEmpty(t, published(t, r))
	}
}

func TestOnPaymentRequestedPanicReachesTheCaller(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.provider.beforeCharge = func() error { panic("provider bug") }
	require.PanicsWithValue(t, "provider bug", func() { request(t, w.App, ask("o1", 100)) })
	require.Panics(t, func() { request(t, w.App, ask("o1", 100), ask("o2", 100)) })
}

// Order ids come from Kafka and user ids from any client: in the alert neither reads as our words, nor becomes a link.
func TestTheFraudAlertQuotesIDsThatAreNotPlain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	e := ask("all is well. Please log in at http://evil.example to", 90001)
	e.UserID = "ada@evil.example"
	alert := published(t, request(t, w.App, e)[0])[1].(messages.NotificationRequested)
	require.Equal(t, `Suspected fraud: order "all is well· Please log …" of user "ada·evil·example" over 900.01 USD was not charged.`, alert.Message)
}
