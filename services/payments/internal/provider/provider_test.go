package provider_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/provider"
	"pasdetrois/services/payments/internal/provider/simulated"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func charge(key, method string) app.Charge {
	return app.Charge{Key: key, OrderID: "o1", UserID: "u1", Amount: messages.Money{Minor: 4999, Currency: "USD"}, Method: method}
}

func TestOpenPicksTheProviderByItsURL(t *testing.T) {
	t.Parallel()
	database := testkit.Database(t, migrations.Up).URL("payments")
	for _, url := range []string{"", "simulated:"} {
		p, err := provider.Open(provider.Config{URL: url, DatabaseURL: database})
		require.NoError(t, err)
		t.Cleanup(p.Close)
		answer, err := p.Charge(t.Context(), charge("k1", simulated.MethodVisa))
		require.NoError(t, err)
		require.NotEmpty(t, answer.PaymentID)
	}
	for _, url := range []string{"nobody://sk_secret@example.com", "sk_secret", "://sk_secret"} {
		require.Error(t, provider.CheckURL(url))
		_, err := provider.Open(provider.Config{URL: url, DatabaseURL: database})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "sk_secret")
	}
	_, err := provider.Open(provider.Config{DatabaseURL: "postgres://payments:sesame@local host/x"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "sesame")
}

func TestMeasured(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	p := provider.Measure(simulated.New(simulated.Config{Books: testkit.Database(t, migrations.Up).Pool(t, "payments")}), reg, nil)

	_, err := p.Charge(t.Context(), charge("k1", simulated.MethodVisa))
	require.NoError(t, err)
	_, err = p.Charge(t.Context(), charge("k2", simulated.MethodDeclined))
	require.NoError(t, err)
	held, err := p.Lookup(t.Context(), "k1")
	require.NoError(t, err)
	require.True(t, held)
	require.NoError(t, p.Refund(t.Context(), "k1"))
	require.ErrorIs(t, p.Refund(t.Context(), "k2"), app.ErrNoCharge)

	n, err := testutil.GatherAndCount(reg, "pasdetrois_payments_provider_call_seconds")
	require.NoError(t, err)
	require.Equal(t, 5, n, "charge ok, charge declined, lookup ok, refund ok, refund error")
}
