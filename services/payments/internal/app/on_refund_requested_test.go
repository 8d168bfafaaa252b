package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider/simulated"
)

func TestOnRefundRequestedGivesBackOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, ask("o1", 4999))

	first := refund(t, w.App, back("o1", 4999))[0]
	second := refund(t, w.App, back("o1", 4999))[0]
	restarted := refund(t, w.other(), back("o1", 4999))[0] // as after a crash between commit and publish

	entries := w.ledger("o1")
	require.Len(t, entries, 1)
	require.Equal(t, "refunded", entries[0].Status)
	require.Equal(t, 1, entries[0].RefundCalls)
	require.Equal(t, []messages.Event{messages.PaymentRefunded{OrderID: "o1", UserID: "u1", Amount: usd(4999),
		PaymentID: entries[0].PaymentID}}, published(t, first))
	require.Equal(t, messages.ID("o1", messages.EventPaymentRefunded, "refund"), first.Publish[0].ID)
	require.Equal(t, first, second)
	require.Equal(t, first, restarted)
	require.Equal(t, "cancelled", w.payment("o1").Reason)
}

func TestOnRefundRequestedOfAFailedPayment(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, askWith("o1", 4999, simulated.MethodDeclined))

	first := refund(t, w.App, back("o1", 4999))[0]
	require.Equal(t, []messages.Event{messages.PaymentRefunded{OrderID: "o1", UserID: "u1", Amount: usd(0)}}, published(t, first))
	require.Equal(t, first, refund(t, w.App, back("o1", 4999))[0])
	require.Equal(t, domain.Failed, w.payment("o1").Status)
}

func TestOnRefundRequestedBeforeThePayment(t *testing.T) {
	t.Parallel()
	w := setup(t)

	first := refund(t, w.App, back("o1", 4999))[0]
	require.Equal(t, []messages.Event{messages.PaymentRefunded{OrderID: "o1", UserID: "u1", Amount: usd(0)}}, published(t, first))
	require.Equal(t, messages.ID("o1", messages.EventPaymentRefunded, "void"), first.Publish[0].ID)
	require.Equal(t, domain.Voided, w.payment("o1").Status)

	for range 2 {
		require.Empty(t, published(t, request(t, w.App, ask("o1", 4999))[0]), "never charged, nothing to say")
	}
	require.Empty(t, w.ledger("o1"))
	require.Equal(t, first, refund(t, w.App, back("o1", 4999))[0])
}

func TestOnRefundRequestedSilencesTheCapture(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, ask("o1", 4999))
	refund(t, w.App, back("o1", 4999))

	require.Empty(t, published(t, request(t, w.App, ask("o1", 4999))[0]), "the request led to something else since")
	require.Equal(t, "refunded", w.ledger("o1")[0].Status)
	require.Equal(t, 1, w.ledger("o1")[0].ChargeCalls)
}

func TestOnRefundRequestedCrashes(t *testing.T) {
	t.Parallel()
	tests := map[string]func(w *world){
		"before the provider's refund":           func(w *world) { w.provider.beforeRefund = once(errDown) },
		"after the provider's, its answer lost":  func(w *world) { w.provider.afterRefund = once(errDown) },
		"between the provider's and the commit":  func(w *world) { w.store.beforeRefund = once(errDown) },
		"in the commit, its outcome unknown":     func(w *world) { w.store.afterRefund = once(errDown) },
		"before anything, the database away":     func(w *world) { w.store.beforeRead = once(errDown) },
		"after the commit, before publishing":    func(*world) {},
		"while another replica is doing it, too": func(w *world) { w.store.beforeRefund = do(func() { refund(w.t, w.other(), back("o1", 4999)) }) },
	}
	for name, crash := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			request(t, w.App, ask("o1", 4999))
			crash(w)
			refund(t, w.App, back("o1", 4999)) // whatever it led to is lost

			result := refund(t, w.App, back("o1", 4999))[0]
			require.Equal(t, usd(4999), published(t, result)[0].(messages.PaymentRefunded).Amount)
			require.Equal(t, result, refund(t, w.App, back("o1", 4999))[0])
			require.Equal(t, domain.Refunded, w.payment("o1").Status)
			require.Equal(t, "refunded", w.ledger("o1")[0].Status)
		})
	}
}

func TestOnRefundRequestedContradiction(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, ask("o1", 4999))

	requireParked(t, refund(t, w.App, back("o1", 5000))[0])
	otherUser := back("o1", 4999)
	otherUser.UserID = "u2"
	requireParked(t, refund(t, w.App, otherUser)[0])
	require.Equal(t, domain.Captured, w.payment("o1").Status)
	require.Equal(t, "charged", w.ledger("o1")[0].Status)
}

func TestOnRefundRequestedThatTheProviderKnowsNothingOf(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, ask("o1", 4999))
	_, err := w.db.Exec(t.Context(), `DELETE FROM provider_ledger`)
	require.NoError(t, err)

	requireParked(t, refund(t, w.App, back("o1", 4999))[0])
	require.Equal(t, domain.Captured, w.payment("o1").Status)
}

func TestOnRefundRequestedBatch(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, ask("paid", 100), askWith("declined", 200, simulated.MethodDeclined))

	results := refund(t, w.App,
		back("unpaid", 300),
		back("paid", 101), // contradicts
		back("paid", 100),
		back("declined", 200),
		back("paid", 100),   // again
		back("unpaid", 300), // again
		back("unpaid", 301), // contradicts the first
	)
	require.True(t, published(t, results[0])[0].(messages.PaymentRefunded).Amount.IsZero())
	requireParked(t, results[1])
	require.Equal(t, usd(100), published(t, results[2])[0].(messages.PaymentRefunded).Amount)
	require.True(t, published(t, results[3])[0].(messages.PaymentRefunded).Amount.IsZero())
	require.Equal(t, results[2], results[4])
	require.Equal(t, results[0], results[5])
	requireParked(t, results[6])
	require.Equal(t, 1, w.ledger("paid")[0].RefundCalls)
}

func TestOnRefundRequestedProviderDownPoisonsNobodyElse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	request(t, w.App, ask("o1", 100))
	w.provider.beforeRefund = once(errDown)

	results := refund(t, w.App, back("o1", 100), back("o2", 200), back("o1", 100))
	requireTransient(t, results[0])
	require.NotEmpty(t, published(t, results[1]))
	requireTransient(t, results[2])
	require.Equal(t, domain.Captured, w.payment("o1").Status)
}
