package app_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider/simulated"
)

// A tombstone comes to be while the charge is under way: before it, or after it.
func TestChargeThatFindsATombstoneIsGivenBack(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(w *world, f func() error){
		"tombstone before the charge": func(w *world, f func() error) { w.provider.beforeCharge = f },
		"tombstone after the charge":  func(w *world, f func() error) { w.provider.afterCharge = f },
		"tombstone before the commit": func(w *world, f func() error) { w.store.beforeOpen = f },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			other := w.other()
			set(w, do(func() {
				require.True(t, published(t, refund(t, other, back("o1", 4999))[0])[0].(messages.PaymentRefunded).Amount.IsZero())
			}))

			require.Empty(t, published(t, request(t, w.App, ask("o1", 4999))[0]))
			require.Equal(t, domain.Voided, w.payment("o1").Status)
			require.Len(t, w.ledger("o1"), 1)
			require.Equal(t, "refunded", w.ledger("o1")[0].Status)
		})
	}
}

// The tombstone's own look comes before the charge, and the request is done for before it could give anything back.
func TestChargeThatWasLeftBehindIsGivenBackAtRedelivery(t *testing.T) {
	t.Parallel()
	tests := map[string]func(w *world){
		"crash between charge and commit": func(w *world) {
			other := w.other()
			w.provider.beforeCharge = do(func() { refund(w.t, other, back("o1", 4999)) })
			w.store.beforeOpen = once(errDown)
		},
		"provider away when it is looked up": func(w *world) {
			other := w.other()
			w.provider.beforeCharge = do(func() { refund(w.t, other, back("o1", 4999)) })
			w.provider.beforeLookup = once(errDown)
		},
		"provider away when it is given back": func(w *world) {
			other := w.other()
			w.provider.beforeCharge = do(func() { refund(w.t, other, back("o1", 4999)) })
			w.provider.beforeRefund = once(errDown)
		},
	}
	for name, crash := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			crash(w)
			requireTransient(t, request(t, w.App, ask("o1", 4999))[0])
			require.Equal(t, "charged", w.ledger("o1")[0].Status, "left behind")

			require.Empty(t, published(t, request(t, w.App, ask("o1", 4999))[0]))
			require.Equal(t, "refunded", w.ledger("o1")[0].Status)
		})
	}
}

// The request that charged is never delivered again: the refund itself looks the charge up.
func TestTombstoneGivesBackAChargeThatWasNeverKept(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.store.beforeOpen = once(errDown)
	requireTransient(t, request(t, w.App, ask("o1", 4999))[0])

	require.True(t, published(t, refund(t, w.App, back("o1", 4999))[0])[0].(messages.PaymentRefunded).Amount.IsZero())
	require.Equal(t, "refunded", w.ledger("o1")[0].Status)
}

// The payment is captured after the refund looked and before it could leave its tombstone.
func TestRefundThatIsOvertakenByTheCaptureGivesBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	other := w.other()
	w.store.beforeRefund = do(func() { require.NotEmpty(t, published(t, request(t, other, ask("o1", 4999))[0])) })

	result := refund(t, w.App, back("o1", 4999), back("o2", 100))
	require.Equal(t, usd(4999), published(t, result[0])[0].(messages.PaymentRefunded).Amount)
	require.True(t, published(t, result[1])[0].(messages.PaymentRefunded).Amount.IsZero())
	require.Equal(t, domain.Refunded, w.payment("o1").Status)
	require.Equal(t, "refunded", w.ledger("o1")[0].Status)
	require.Equal(t, domain.Voided, w.payment("o2").Status)
}

// Many replicas are handed the same requests and refunds at once, in batches of different order.
func TestManyAtOnceDecideOnce(t *testing.T) {
	t.Parallel()
	const orders, replicas = 12, 4
	w := setup(t)
	var asked, askedBack []string
	for i := range orders {
		id := fmt.Sprintf("o%02d", i)
		asked = append(asked, id)
		if i%2 == 0 {
			askedBack = append(askedBack, id)
		}
	}
	release := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := make(map[string][]messages.Message)
	note := func(out []messages.Message) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range out {
			answers[m.ID] = append(answers[m.ID], m)
		}
	}
	for r := range replicas {
		a := w.other()
		wg.Go(func() {
			<-release
			var batch []messages.PaymentRequested
			for i := range asked {
				batch = append(batch, ask(asked[(i*5+r*3)%orders], 4999))
			}
			for _, result := range a.OnPaymentRequested(t.Context(), in(batch...)) {
				if result.Err != nil {
					t.Errorf("request: %v", result.Err)
				}
				note(result.Publish)
			}
		})
		wg.Go(func() {
			<-release
			var batch []messages.RefundRequested
			for i := range askedBack {
				batch = append(batch, back(askedBack[(i*5+r)%len(askedBack)], 4999))
			}
			for _, result := range a.OnRefundRequested(t.Context(), in(batch...)) {
				if result.Err != nil {
					t.Errorf("refund: %v", result.Err)
				}
				note(result.Publish)
			}
		})
	}
	close(release)
	wg.Wait()

	for id, same := range answers {
		for _, m := range same {
			require.Equal(t, same[0], m, "message %s", id)
		}
	}
	for i, order := range asked {
		entries := w.ledger(order)
		require.LessOrEqual(t, len(entries), 1, order)
		p := w.payment(order)
		if i%2 == 1 {
			require.Equal(t, domain.Captured, p.Status, order)
			require.Equal(t, "charged", entries[0].Status, order)
			continue
		}
		require.Contains(t, []domain.Status{domain.Refunded, domain.Voided}, p.Status, order)
		for _, e := range entries {
			require.Equal(t, "refunded", e.Status, "%s is %s", order, p.Status)
		}
	}
}

func TestMetricsCountEachDecisionOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for range 2 {
		request(t, w.App, ask("o1", 100), askWith("o2", 100, simulated.MethodDeclined), ask("o3", 99999), ask("o1", 100))
		refund(t, w.App, back("o4", 100), back("o4", 100))
	}
	refund(t, w.App, back("o1", 100))
	require.NoError(t, testutil.GatherAndCompare(w.metrics, strings.NewReader(`
# HELP pasdetrois_payments_refunds_total Refunds decided, by outcome (refunded: money given back; voided: nothing was captured yet).
# TYPE pasdetrois_payments_refunds_total counter
pasdetrois_payments_refunds_total{outcome="refunded"} 1
pasdetrois_payments_refunds_total{outcome="voided"} 1
# HELP pasdetrois_payments_total Payments decided, by outcome (captured, failed) and the reason of a failure.
# TYPE pasdetrois_payments_total counter
pasdetrois_payments_total{outcome="captured",reason=""} 1
pasdetrois_payments_total{outcome="failed",reason="card_declined"} 1
pasdetrois_payments_total{outcome="failed",reason="suspected_fraud"} 1
`), "pasdetrois_payments_total", "pasdetrois_payments_refunds_total"))
}

func TestListPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 5 {
		e := ask(fmt.Sprintf("o%d", i), 100)
		if i == 2 {
			e.UserID = "u2"
		}
		request(t, w.App, e)
	}
	ids := func(q app.Query) (pages [][]string) {
		for {
			page, err := w.List(t.Context(), q)
			require.NoError(t, err)
			if len(page) == 0 {
				return pages
			}
			var ids []string
			for _, p := range page {
				ids = append(ids, p.OrderID)
				q.After = app.Position{CreatedAt: p.CreatedAt, OrderID: p.OrderID}
			}
			pages = append(pages, ids)
		}
	}
	require.Equal(t, [][]string{{"o4", "o3"}, {"o2", "o1"}, {"o0"}}, ids(app.Query{Limit: 2}))
	require.Equal(t, [][]string{{"o4", "o3"}, {"o1", "o0"}}, ids(app.Query{UserID: "u1", Limit: 2}))
	require.Empty(t, ids(app.Query{UserID: "nobody", Limit: 2}))

	_, err := w.Get(t.Context(), "nobody's")
	require.ErrorIs(t, err, app.ErrNotFound)
}
