package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// Whatever the status, the messages are those that led there, with the ids of the first time, and the order stays as it is.
func TestRepublishSaysTheSameAgain(t *testing.T) {
	t.Parallel()
	for status, want := range map[domain.Status][]string{
		domain.Pending:         {"order_placed"},
		domain.AwaitingPayment: {"payment_requested"},
		domain.Confirmed:       {"order_confirmed", "notification_requested"},
		domain.Rejected:        {"order_rejected", "notification_requested"},
		domain.Failed:          {"notification_requested"}, // its outcome is payment_failed, of payments
		domain.Cancelling:      {"refund_requested"},
		domain.Cancelled:       {"order_cancelled", "notification_requested"},
	} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.bring(status)
			w.took()
			before := w.dump()
			o, err := w.Republish(t.Context(), "o")
			require.NoError(t, err)
			require.Equal(t, status, o.Status)
			first := w.took()
			var events []string
			for _, m := range first {
				events = append(events, m.Event.EventName())
				require.Equal(t, "o", m.Event.Key())
			}
			require.Equal(t, want, events)
			require.Equal(t, before, w.dump())

			w.clock.pass(time.Hour)
			_, err = w.Republish(t.Context(), "o")
			require.NoError(t, err)
			says(t, w.took(), first...)
		})
	}
}

func TestRepublishAsksMoneyThatCameLateBackAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Cancelling)
	deliver(w, w.OnPaymentRefunded, voided())
	late := deliver(w, w.OnPaymentCaptured, captured())
	require.Len(t, late, 1)
	w.took()
	_, err := w.Republish(t.Context(), "o")
	require.NoError(t, err)
	again := w.took()
	require.Len(t, again, 3)
	require.Equal(t, late[0].ID, again[2].ID)
	says(t, again[2:], refund("late", "order_cancelled"))
}

func TestRepublishPlacedPagesThroughATimeNewestFirst(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var from, to time.Time
	for i := range 10 {
		if i == 3 {
			from = w.clock.Now()
		}
		if i == 8 {
			to = w.clock.Now()
		}
		w.place(domain.Placement{OrderID: fmt.Sprintf("o%d", i), UserID: "u", Total: usd(1000), HasTotal: true})
		w.clock.pass(time.Second)
	}
	w.took()
	var ids []string
	after := app.Position{CreatedAt: to}
	for {
		page, err := w.RepublishPlaced(t.Context(), from, after, 2)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		for _, o := range page {
			ids = append(ids, o.ID)
			after = app.Position{CreatedAt: o.CreatedAt, OrderID: o.ID}
		}
	}
	require.Equal(t, []string{"o7", "o6", "o5", "o4", "o3"}, ids)
	require.Len(t, w.took(), 5)
}

func TestRepublishOfAnOrderThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.Republish(t.Context(), "nobody")
	require.ErrorIs(t, err, app.ErrNotFound)
	require.Empty(t, w.took())
}

func TestRepublishAddsNothingToMessagesThatCannotBePublished(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Confirmed)
	_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, value, headers, created_at) VALUES ('orders', '', '[]', $1)`, w.clock.Now())
	require.NoError(t, err)
	w.clock.pass(time.Minute)
	_, err = w.Republish(t.Context(), "o")
	require.ErrorIs(t, err, app.ErrNotPublishing)
	require.Empty(t, w.took())
}
