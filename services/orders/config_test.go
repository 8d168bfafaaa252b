package orders_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/stretchr/testify/require"

	"pasdetrois/services/orders"
)

// configFrom parses a Config as run.Main does.
func configFrom(t *testing.T, environ map[string]string) orders.Config {
	t.Helper()
	cfg, err := env.ParseAsWithOptions[orders.Config](env.Options{Environment: environ})
	require.NoError(t, err)
	return cfg
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg := configFrom(t, map[string]string{"DATABASE_URL": "postgres://orders:secret@localhost/pasdetrois"})
	require.NoError(t, cfg.Validate())
	require.Equal(t, ":8080", cfg.HTTPAddr)
	require.Equal(t, ":9080", cfg.Admin())
	require.Equal(t, 15*time.Minute, cfg.PaymentTimeout)
	require.Equal(t, 10*time.Second, cfg.SettleWithin)
	require.Equal(t, time.Minute, cfg.PendingRepublish)
	require.Equal(t, time.Minute, cfg.HeldTimeout)
	require.Equal(t, 24*time.Hour, cfg.IdempotencyKeyTTL)
	level, format := cfg.Logging()
	require.Equal(t, "info json", level+" "+format)
}

func TestConfigValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	wrong := map[string]string{
		"KAFKA_BROKERS": "nowhere", "HTTP_ADDR": "8080", "ADMIN_ADDR": "9080", "DATABASE_URL": "postgres://orders:sesame@local host/x",
		"DATABASE_MAX_CONNS": "3", "PAYMENT_TIMEOUT": "0s", "SETTLE_WITHIN": "-1s", "PENDING_REPUBLISH_AFTER": "-1s", "HELD_TIMEOUT": "0s",
		"IDEMPOTENCY_KEY_TTL": "0s", "SWEEP_INTERVAL": "0s", "OUTBOX_GRACE": "0s", "OUTBOX_POLL": "0s",
		"LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "DRAIN_TIMEOUT": "0s",
	}
	err := configFrom(t, wrong).Validate()
	require.Error(t, err)
	for name := range wrong {
		require.Contains(t, err.Error(), name)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), len(wrong), "one line each")
	require.NotContains(t, err.Error(), "sesame")
}
