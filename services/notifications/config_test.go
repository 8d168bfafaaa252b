package notifications_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/stretchr/testify/require"

	"pasdetrois/services/notifications"
)

// configFrom parses a Config as run.Main does.
func configFrom(t *testing.T, environ map[string]string) notifications.Config {
	t.Helper()
	cfg, err := env.ParseAsWithOptions[notifications.Config](env.Options{Environment: environ})
	require.NoError(t, err)
	return cfg
}

const someDatabase = "postgres://notifications:secret@localhost/pasdetrois"

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg := configFrom(t, map[string]string{"DATABASE_URL": someDatabase})
	require.NoError(t, cfg.Validate())
	require.Equal(t, ":8085", cfg.HTTPAddr)
	require.Equal(t, ":9085", cfg.Admin())
	require.Empty(t, cfg.SMTPURL)
	require.Equal(t, "orders@pasdetrois.invalid", cfg.EmailFrom)
	require.Equal(t, 4, cfg.EmailConcurrency)
	require.Equal(t, 10*time.Second, cfg.EmailTimeout)
	require.Equal(t, 5*time.Minute, cfg.EmailRetryMax)
	require.Equal(t, 20, cfg.EmailPerHour)
	level, format := cfg.Logging()
	require.Equal(t, "info json", level+" "+format)
}

func TestConfigValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	cfg := configFrom(t, map[string]string{
		"KAFKA_BROKERS": "nowhere", "HTTP_ADDR": "8085", "ADMIN_ADDR": "9085",
		"DATABASE_URL": "postgres://notifications:sesame@local host/x", "SMTP_URL": "smtp://shop:sesame@mail.example.org?tls=none",
		"EMAIL_FROM": "nobody", "EMAIL_CONCURRENCY": "0", "EMAIL_TIMEOUT": "1ms", "EMAIL_RETRY_MAX": "0s", "EMAIL_PER_HOUR": "-1", "LOG_LEVEL": "loud",
		"LOG_FORMAT": "xml", "DRAIN_TIMEOUT": "0s",
	})
	err := cfg.Validate()
	require.Error(t, err)
	for _, name := range []string{"KAFKA_BROKERS", "HTTP_ADDR", "ADMIN_ADDR", "DATABASE_URL", "SMTP_URL", "EMAIL_FROM",
		"EMAIL_CONCURRENCY", "EMAIL_TIMEOUT", "EMAIL_RETRY_MAX", "EMAIL_PER_HOUR", "LOG_LEVEL", "LOG_FORMAT", "DRAIN_TIMEOUT"} {
		require.Contains(t, err.Error(), name)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), 13, "one line each")
	require.NotContains(t, err.Error(), "sesame")
}

func TestConfigValidateSingleProblems(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(c *notifications.Config){
		"no database":         func(c *notifications.Config) { c.DatabaseURL = "" },
		"no sender":           func(c *notifications.Config) { c.EmailFrom = "" },
		"sender with a name":  func(c *notifications.Config) { c.EmailFrom = "Orders <orders@example.org>" },
		"too many at once":    func(c *notifications.Config) { c.EmailConcurrency = 257 },
		"endless attempt":     func(c *notifications.Config) { c.EmailTimeout = time.Hour },
		"endless pause":       func(c *notifications.Config) { c.EmailRetryMax = 48 * time.Hour },
		"no mail server at":   func(c *notifications.Config) { c.SMTPURL = "smtp://" },
		"no brokers":          func(c *notifications.Config) { c.Brokers = nil },
		"no public address":   func(c *notifications.Config) { c.HTTPAddr = "" },
		"no admin address":    func(c *notifications.Config) { c.AdminAddr = "" },
		"no log level":        func(c *notifications.Config) { c.LogLevel = "" },
		"no format":           func(c *notifications.Config) { c.LogFormat = "" },
		"negative drain time": func(c *notifications.Config) { c.DrainTimeout = -time.Second },
	} {
		cfg := configFrom(t, map[string]string{"DATABASE_URL": someDatabase})
		breakIt(&cfg)
		require.Error(t, cfg.Validate(), name)
	}
}
