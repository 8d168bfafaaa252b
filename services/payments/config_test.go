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
	require.Equal(t, ":8084", cfg.HTTPAddr)
	require.Equal(t, ":9084", cfg.Admin())
	require.Contains(t, cfg.FraudLimits, "USD=900,")
	require.Equal(t, "security@example.com", cfg.FraudAlertEmail)
	level, format := cfg.Logging()
	require.Equal(t, "info json", level+" "+format)
}

func TestConfigValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	cfg := configFrom(t, map[string]string{
		"KAFKA_BROKERS": "nowhere", "HTTP_ADDR": "8084", "ADMIN_ADDR": "9084",
		"DATABASE_URL": "postgres://payments:sesame@local host/x", "FRAUD_LIMIT": "-1", "FRAUD_ALERT_EMAIL": "nobody",
		"PROVIDER_URL": "nobody://sesame@example.com", "PROVIDER_LATENCY": "11s", "PROVIDER_ERROR_RATE": "1.5", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "DRAIN_TIMEOUT": "0s",
	})
	err := cfg.Validate()
	require.Error(t, err)
	for _, name := range []string{"KAFKA_BROKERS", "HTTP_ADDR", "ADMIN_ADDR", "DATABASE_URL", "FRAUD_LIMIT", "FRAUD_ALERT_EMAIL",
		"PROVIDER_URL", "PROVIDER_LATENCY", "PROVIDER_ERROR_RATE", "LOG_LEVEL", "LOG_FORMAT", "DRAIN_TIMEOUT"} {
		require.Contains(t, err.Error(), name)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), 12, "one line each")
	require.NotContains(t, err.Error(), "sesame")
}

func TestConfigValidateSingleProblems(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(c *payments.Config){
		"no database":         func(c *payments.Config) { c.DatabaseURL = "" },
		"no fraud limit":      func(c *payments.Config) { c.FraudLimits = "" },
		"no alert address":    func(c *payments.Config) { c.FraudAlertEmail = "" },
		"negative latency":    func(c *payments.Config) { c.ProviderLatency = -time.Second },
		"error rate is NaN":   func(c *payments.Config) { c.ProviderErrorRate = math.NaN() },
		"no brokers":          func(c *payments.Config) { c.Kafka.Brokers = nil },
		"negative drain":      func(c *payments.Config) { c.DrainTimeout = -time.Second },
		"no public address":   func(c *payments.Config) { c.HTTPAddr = "" },
		"no admin address":    func(c *payments.Config) { c.AdminAddr = "" },
		"no log level":        func(c *payments.Config) { c.LogLevel = "" },
		"no format":           func(c *payments.Config) { c.LogFormat = "" },
		"bad topic prefix":    func(c *payments.Config) { c.Kafka.TopicPrefix = "a b" },
		"negative error rate": func(c *payments.Config) { c.ProviderErrorRate = -0.1 },
	} {
		cfg := configFrom(t, map[string]string{"DATABASE_URL": "postgres://payments:secret@localhost/pasdetrois"})
		breakIt(&cfg)
		require.Error(t, cfg.Validate(), name)
	}
}
