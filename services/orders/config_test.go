package orders_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/run"
	"pasdetrois/services/orders"
)

func configFrom(t *testing.T, environ map[string]string) orders.Config {
	t.Helper()
	cfg, err := run.Parse[orders.Config](environ)
	require.NoError(t, err)
	return cfg
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg := configFrom(t, map[string]string{"DATABASE_URL": "postgres://orders:secret@localhost/pasdetrois"})
	require.NoError(t, cfg.Validate())
	require.Equal(t, "127.0.0.1:8080", cfg.HTTPAddr)
	require.Equal(t, "127.0.0.1:9080", cfg.Admin())
	require.EqualValues(t, 16, cfg.MaxConns)
	require.Equal(t, 15*time.Minute, cfg.PaymentTimeout)
	require.Equal(t, 10*time.Second, cfg.SettleWithin)
	require.Equal(t, time.Minute, cfg.PendingRepublish)
	require.Equal(t, time.Minute, cfg.HeldTimeout)
	require.Equal(t, 24*time.Hour, cfg.IdempotencyKeyTTL)
}

func TestConfigValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	wrong := map[string]string{"DATABASE_URL": "", "DATABASE_MAX_CONNS": "3", "PAYMENT_TIMEOUT": "0s", "SETTLE_WITHIN": "-1s",
		"PENDING_REPUBLISH_AFTER": "-1s", "HELD_TIMEOUT": "0s", "IDEMPOTENCY_KEY_TTL": "0s", "RETENTION_ORDERS": "191h",
		"RATE_ORDERS": "-1", "RATE_STREAMS": "-1", "RATE_WAITS": "1000001", "TRUSTED_PROXIES": "proxy"}
	err := configFrom(t, wrong).Validate()
	require.Error(t, err)
	for name := range wrong {
		require.Contains(t, err.Error(), name)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), len(wrong), "one line each")
}

// An order must be settled for good before it goes, and what comes of it again must find its row or its tombstone.
func TestRetentionIsLongerThanAnyOrderIsOpen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ map[string]string
		says    string
	}{
		"for ever":                            {map[string]string{"RETENTION_ORDERS": "0s"}, ""},
		"the least":                           {map[string]string{"RETENTION_ORDERS": "192h"}, ""},
		"below the topics":                    {map[string]string{"RETENTION_ORDERS": "191h59m"}, "RETENTION_ORDERS: 191h59m0s is less than 192h0m0s, "},
		"below the longest open order":        {map[string]string{"RETENTION_ORDERS": "200h", "PAYMENT_TIMEOUT": "200h"}, "RETENTION_ORDERS: 200h0m0s is less than 200h2m0s, "},
		"below the answers that are repeated": {map[string]string{"RETENTION_ORDERS": "200h", "IDEMPOTENCY_KEY_TTL": "201h"}, "RETENTION_ORDERS: 200h0m0s is less than 201h0m0s, "},
		"negative":                            {map[string]string{"RETENTION_ORDERS": "-1h"}, "RETENTION_ORDERS: -1h0m0s is less than 192h0m0s, "},
	} {
		c.environ["DATABASE_URL"] = "postgres://orders:secret@localhost/pasdetrois"
		err := configFrom(t, c.environ).Validate()
		if c.says == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, c.says, name)
		require.Len(t, strings.Split(err.Error(), "\n"), 1, name)
	}
}
