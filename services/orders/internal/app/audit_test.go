package app_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// audited returns the entries of the audit log, oldest first, without those of the product of bring.
func (w *world) audited() (lines []string) {
	w.t.Helper()
	found, err := auditlog.New(w.db).List(w.t.Context(), auditlog.Filter{Limit: 100})
	require.NoError(w.t, err)
	for _, k := range found {
		if k.Subject == "a" {
			continue
		}
		lines = append([]string{k.Actor + " " + k.Operation + " " + k.Subject + " " + string(k.Details)}, lines...)
	}
	return lines
}

func TestWhatAPersonChangesIsInTheAuditLogOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ada := auth.With(t.Context(), auth.User("ada", auth.Admin))
	w.bring(domain.AwaitingPayment)
	require.Empty(t, w.audited(), "an event is no change by a person")
	for range 2 { // the second changes nothing
		_, err := w.CancelOrder(ada, "o")
		require.NoError(t, err)
	}
	_, _, err := w.PutProduct(ada, "tutu", "Tutu", usd(1990))
	require.NoError(t, err)
	key := &app.Idempotency{Key: "k", RequestHash: []byte("h")}
	for range 2 { // the repetition adds nothing
		_, _, err = w.Restock(ada, "tutu", 3, key, answered)
		require.NoError(t, err)
	}
	_, _, err = w.Restock(ada, "tutu", 3, nil, func(domain.Product) (app.Answer, error) { return app.Answer{}, errors.New("undone") })
	require.Error(t, err)
	_, err = w.Republish(ada, "o")
	require.NoError(t, err)
	_, err = w.RepublishPlaced(ada, time.Time{}, app.Position{}, 9)
	require.NoError(t, err)
	status := string(w.order("o").Status)
	require.Equal(t, []string{
		`user:ada order.cancel o {"status": "` + status + `"}`,
		`user:ada product.put tutu {"price": "19.90", "created": true, "currency": "USD"}`,
		`user:ada product.restock tutu {"quantity": 3}`,
		`user:ada order.republish o {"status": "` + status + `"}`,
		`user:ada order.republish o {"status": "` + status + `"}`,
	}, w.audited())
}

func TestNeitherEventsNorRefusalsHaveAnEntry(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.bring(domain.Confirmed)
	require.Empty(t, w.audited())
	w = setup(t)
	w.bring(domain.Failed)
	_, err := w.CancelOrder(t.Context(), "o")
	require.ErrorIs(t, err, domain.ErrNotCancellable)
	require.Empty(t, w.audited())
}
