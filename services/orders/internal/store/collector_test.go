package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
)

func TestCollectorCountsWhatIsKeptAside(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.InTx(t.Context(), func(ctx context.Context, tx app.Tx) error {
		_, err := tx.Hold(ctx, app.Held{OrderID: "o", Event: "e", Record: messages.Record{Topic: "t", Time: at}, HeldAt: at})
		return err
	}))
	reg := prometheus.NewRegistry()
	reg.MustRegister(w.Collector(time.Hour))
	testkit.Eventually(t, func() error {
		families, err := reg.Gather()
		if err != nil || len(families) == 0 {
			return errors.Join(err, errors.New("not measured"))
		}
		require.Equal(t, "pasdetrois_orders_held", families[0].GetName())
		require.InDelta(t, 1, families[0].GetMetric()[0].GetGauge().GetValue(), 0)
		return nil
	})
}

func TestCollectorCountsOpenOrdersAndThoseOverTheirDeadline(t *testing.T) {
	t.Parallel()
	w := setup(t)
	now := time.Now()
	require.NoError(t, w.save(placed("new", now), placed("late", now.Add(-time.Hour-2*time.Minute)), placed("due", now.Add(-time.Hour)),
		placed("done", now.Add(-24*time.Hour))))
	_, err := w.db.Exec(t.Context(), `UPDATE orders SET status = 'cancelled', reason = 'cancelled', due_at = NULL WHERE order_id = 'done'`)
	require.NoError(t, err)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(w.Collector(time.Hour))
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP pasdetrois_orders_overdue Orders that have stood in their status for longer than PAYMENT_TIMEOUT and a minute, by status.
# TYPE pasdetrois_orders_overdue gauge
pasdetrois_orders_overdue{status="awaiting_payment"} 0
pasdetrois_orders_overdue{status="cancelling"} 0
pasdetrois_orders_overdue{status="pending"} 1
# HELP pasdetrois_orders_unsettled Orders that are not settled now, by status, counted up to 100,000 in all.
# TYPE pasdetrois_orders_unsettled gauge
pasdetrois_orders_unsettled{status="awaiting_payment"} 0
pasdetrois_orders_unsettled{status="cancelling"} 0
pasdetrois_orders_unsettled{status="pending"} 3
`), "pasdetrois_orders_overdue", "pasdetrois_orders_unsettled"))
}
