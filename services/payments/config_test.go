package payments_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/run"
	"pasdetrois/services/payments"
)

func configFrom(t *testing.T, environ map[string]string) payments.Config {
	t.Helper()
	cfg, err := run.Parse[payments.Config](environ)
	require.NoError(t, err)
	return cfg
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg := configFrom(t, map[string]string{"DATABASE_URL": "postgres://payments:secret@localhost/pasdetrois"})
	require.NoError(t, cfg.Validate())
	require.Equal(t, "127.0.0.1:8084", cfg.HTTPAddr)
	require.Equal(t, "127.0.0.1:9084", cfg.Admin())
	require.Contains(t, cfg.FraudLimits, "USD=900,")
	require.Equal(t, "security@example.com", cfg.FraudAlertEmail)
}

func TestConfigValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	wrong := map[string]string{"DATABASE_URL": "", "FRAUD_LIMIT": "-1", "FRAUD_ALERT_EMAIL": "nobody", "PROVIDER_URL": "nobody://sesame@example.com",
		"PROVIDER_LATENCY": "11s", "PROVIDER_ERROR_RATE": "1.5", "RETENTION_PAYMENTS": "1h", "RETENTION_LEDGER": "30m"}
	err := configFrom(t, wrong).Validate()
	require.Error(t, err)
	for name := range wrong {
		require.Contains(t, err.Error(), name)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), len(wrong), "one line each")
	require.NotContains(t, err.Error(), "sesame")
}

func TestConfigValidateSingleProblems(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(c *payments.Config){
		"no fraud limit":             func(c *payments.Config) { c.FraudLimits = "" },
		"no alert address":           func(c *payments.Config) { c.FraudAlertEmail = "" },
		"negative latency":           func(c *payments.Config) { c.ProviderLatency = -time.Second },
		"error rate is NaN":          func(c *payments.Config) { c.ProviderErrorRate = math.NaN() },
		"retention below the topics": func(c *payments.Config) { c.RetentionPayments = 191 * time.Hour },
		"entries before payments":    func(c *payments.Config) { c.RetentionPayments, c.RetentionLedger = 300*time.Hour, 299*time.Hour },
		"entries without payments":   func(c *payments.Config) { c.RetentionLedger = 300 * time.Hour },
		"negative error rate":        func(c *payments.Config) { c.ProviderErrorRate = -0.1 },
	} {
		cfg := configFrom(t, map[string]string{"DATABASE_URL": "postgres://payments:secret@localhost/pasdetrois"})
		breakIt(&cfg)
		require.Error(t, cfg.Validate(), name)
	}
}
