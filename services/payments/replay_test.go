package payments_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments"
)

// state is all that payments and its provider know, as text.
func (w *world) state() string {
	w.T.Helper()
	rows, err := w.DB.Query(w.T.Context(), `SELECT p::text FROM payments p UNION ALL SELECT l::text FROM provider_ledger l
		UNION ALL SELECT d::text FROM dead_letters d ORDER BY 1`)
	require.NoError(w.T, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.T, err)
	return strings.Join(all, "\n")
}

// A lost offset starts a group at the oldest record. So everything may be read again at any time, and nobody may be
// charged or refunded again.
func TestReadingPaymentsFromTheirBeginningTakesNoMoney(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	s.Ready(http.StatusOK)
	for _, id := range []string{"captured", "refunded"} {
		w.Publish(messages.PaymentRequested{OrderID: id, UserID: "u", Amount: usd(100)})
		w.Await(id, messages.EventPaymentCaptured, "capture")
	}
	w.Publish(messages.RefundRequested{OrderID: "refunded", UserID: "u", Amount: usd(100), Reason: "cancelled"})
	w.Await("refunded", messages.EventPaymentRefunded, "refund")
	w.Publish(messages.RefundRequested{OrderID: "voided", UserID: "u", Amount: usd(100), Reason: "cancelled"})
	w.Await("voided", messages.EventPaymentRefunded, "void")
	w.Publish(messages.PaymentRequested{OrderID: "voided", UserID: "u", Amount: usd(100)})
	w.write(`{"order_id": "dear", "amount": 901, "user_id": 7}`)
	w.Await("dear", messages.EventPaymentFailed, "fail")
	w.write(`no json`)
	testkit.Eventually(t, func() error { // what was not fetched yet is not in the lag
		if !strings.Contains(w.state(), "not_json") {
			return errors.New("what is no JSON is not parked")
		}
		return nil
	})
	s.ReadAll(3)
	s.Stop()
	before, published := w.state(), w.Observed()

	s = w.start(func(c *payments.Config) { c.Kafka.GroupPrefix += "again." })
	s.ReadAll(3)
	s.Stop()
	require.Equal(t, before, w.state())
	require.Equal(t, published, w.Observed(), "outputs may come again, with the same ids")
}
