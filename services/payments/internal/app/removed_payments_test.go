package app_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider/simulated"
	"pasdetrois/services/payments/internal/store"
)

const keepPayments = 30 * 24 * time.Hour

// retain lets so much time pass and removes the payments and entries whose time is over. It returns how many.
func (w *world) retain(passed time.Duration) int {
	w.t.Helper()
	n, err := retention.New(retention.Config{Pool: w.db, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Rows: 2,
		Kinds: []retention.Kind{store.EndingPayments(keepPayments), simulated.Ending(2 * keepPayments)},
		Now:   func() time.Time { return time.Now().Add(passed) }}).Pass(w.t.Context())
	require.NoError(w.t, err)
	return n
}

// decided makes a payment in each status, of orders named after it.
func decided(t *testing.T, w *world) {
	request(t, w.App, ask("captured", 4999), askWith("failed", 4999, simulated.MethodDeclined), ask("refunded", 4999))
	refund(t, w.App, back("refunded", 4999), back("voided", 4999))
	for _, status := range domain.Statuses() {
		require.Equal(t, status, w.payment(string(status)).Status)
	}
	_, err := w.db.Exec(t.Context(), `UPDATE payments SET created_at = now(), updated_at = now()`)
	require.NoError(t, err)
}

func TestPaymentsAndThenTheirEntriesAreRemoved(t *testing.T) {
	t.Parallel()
	w := setup(t)
	decided(t, w)
	require.Zero(t, w.retain(keepPayments-time.Hour))
	require.Equal(t, 4, w.retain(keepPayments+time.Hour))
	require.Len(t, w.ledger("captured"), 1, "the entries are kept for longer")
	require.Zero(t, w.retain(2*keepPayments-time.Hour))
	require.Equal(t, 3, w.retain(2*keepPayments+time.Hour))
	for _, status := range domain.Statuses() {
		require.Empty(t, w.ledger(string(status)))
	}
}

// An entry proves what its payment says, so it stays with the payment.
func TestAnEntryIsNotRemovedBeforeItsPayment(t *testing.T) {
	t.Parallel()
	w := setup(t)
	decided(t, w)
	n, err := retention.New(retention.Config{Pool: w.db, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		Kinds: []retention.Kind{simulated.Ending(time.Hour)}, Now: func() time.Time { return time.Now().Add(keepPayments) }}).Pass(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestAPaymentStaysWhileADeadLetterOfItWaits(t *testing.T) {
	t.Parallel()
	w := setup(t)
	decided(t, w)
	_, err := w.db.Exec(t.Context(), `INSERT INTO dead_letters (topic, partition, record_offset, record_time, key, reason, detail)
		VALUES ('payments', 0, 0, now(), 'captured', 'r', 'd')`)
	require.NoError(t, err)
	require.Equal(t, 3, w.retain(keepPayments+time.Hour))
	require.Equal(t, domain.Captured, w.payment("captured").Status)
}

// The row was the inbox: whatever comes again, nobody is charged or refunded again.
func TestNothingOfARemovedPaymentIsChargedAgain(t *testing.T) {
	t.Parallel()
	for name, passed := range map[string]time.Duration{"with its entry": keepPayments + time.Hour, "without its entry": 2*keepPayments + time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			decided(t, w)
			w.retain(passed)
			w.retain(passed)
			called := func() error { t.Error("the provider was asked"); return nil }
			w.provider.beforeCharge, w.provider.beforeRefund, w.provider.beforeLookup = called, called, called
			for range 2 {
				for _, status := range domain.Statuses() {
					id := string(status)
					require.Equal(t, []bus.Result{{}, {}}, request(t, w.App, ask(id, 4999), ask(id, 5000)), id)
					if status != domain.Captured {
						require.Equal(t, []bus.Result{{}}, refund(t, w.App, back(id, 4999)), id)
					}
				}
				// The money was kept, so this is a request that nobody handled: a person has to.
				require.Equal(t, "payment_removed", fault.Reason(refund(t, w.App, back("captured", 4999))[0].Err))
			}
			_, err := w.Get(t.Context(), "captured")
			require.Error(t, err)
		})
	}
}

// Another message in the batch is handled as ever.
func TestARemovedPaymentDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	decided(t, w)
	w.retain(keepPayments + time.Hour)
	results := request(t, w.App, ask("captured", 4999), ask("new", 4999))
	require.Empty(t, results[0].Publish)
	require.Equal(t, messages.EventPaymentCaptured, published(t, results[1])[0].EventName())
}
