package payments_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
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
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT p::text FROM payments p UNION ALL SELECT l::text FROM provider_ledger l
		UNION ALL SELECT d::text FROM dead_letters d ORDER BY 1`)
	require.NoError(w.t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	return strings.Join(all, "\n")
}

var lagLine = regexp.MustCompile(`(?m)^pasdetrois_consumer_lag\{[^}]*\} (\S+)$`)

// readAll waits until the service has read all its topics to their ends.
func (s *service) readAll(partitions int) {
	s.t.Helper()
	testkit.Eventually(s.t, func() error {
		_, metrics := s.get(s.admin + "/metrics")
		lags := lagLine.FindAllStringSubmatch(metrics, -1)
		if len(lags) != partitions {
			return fmt.Errorf("the lag of %d of %d partitions is known", len(lags), partitions)
		}
		for _, lag := range lags {
			if lag[1] != "0" {
				return errors.New(lag[0])
			}
		}
		return nil
	})
}

// A lost offset starts a group at the oldest record. So everything may be read again at any time, and nobody may be
// charged or refunded again.
func TestReadingPaymentsFromTheirBeginningTakesNoMoney(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	s.says(http.StatusOK)
	for _, id := range []string{"captured", "refunded"} {
		w.publish(messages.PaymentRequested{OrderID: id, UserID: "u", Amount: usd(100)})
		w.await(id, messages.EventPaymentCaptured, "capture")
	}
	w.publish(messages.RefundRequested{OrderID: "refunded", UserID: "u", Amount: usd(100), Reason: "cancelled"})
	w.await("refunded", messages.EventPaymentRefunded, "refund")
	w.publish(messages.RefundRequested{OrderID: "voided", UserID: "u", Amount: usd(100), Reason: "cancelled"})
	w.await("voided", messages.EventPaymentRefunded, "void")
	w.publish(messages.PaymentRequested{OrderID: "voided", UserID: "u", Amount: usd(100)})
	w.write(`{"order_id": "dear", "amount": 901, "user_id": 7}`)
	w.await("dear", messages.EventPaymentFailed, "fail")
	w.write(`no json`)
	testkit.Eventually(t, func() error { // what was not fetched yet is not in the lag
		if !strings.Contains(w.state(), "not_json") {
			return errors.New("what is no JSON is not parked")
		}
		return nil
	})
	s.readAll(3)
	s.stop()
	before, published := w.state(), w.published.ids()

	s = w.start(func(c *payments.Config) { c.GroupPrefix += "again." })
	s.readAll(3)
	s.stop()
	require.Equal(t, before, w.state())
	require.Equal(t, published, w.published.ids(), "outputs may come again, with the same ids")
}
