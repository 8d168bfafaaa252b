package notifications_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/run"
	"pasdetrois/services/notifications"
)

func configFrom(t *testing.T, environ map[string]string) notifications.Config {
	t.Helper()
	cfg, err := run.Parse[notifications.Config](environ)
	require.NoError(t, err)
	return cfg
}

const someDatabase = "postgres://notifications:secret@localhost/pasdetrois"

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg := configFrom(t, map[string]string{"DATABASE_URL": someDatabase})
	require.NoError(t, cfg.Validate())
	require.Equal(t, "127.0.0.1:8085", cfg.HTTPAddr)
	require.Equal(t, "127.0.0.1:9085", cfg.Admin())
	require.Empty(t, cfg.SMTPURL)
	require.Equal(t, "orders@pasdetrois.invalid", cfg.EmailFrom)
	require.Equal(t, 4, cfg.EmailConcurrency)
	require.Equal(t, 10*time.Second, cfg.EmailTimeout)
	require.Equal(t, 5*time.Minute, cfg.EmailRetryMax)
	require.Equal(t, 20, cfg.EmailPerHour)
}

func TestConfigValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	wrong := map[string]string{"DATABASE_URL": "", "SMTP_URL": "smtp://shop:sesame@mail.example.org?tls=none", "EMAIL_FROM": "nobody",
		"EMAIL_CONCURRENCY": "0", "EMAIL_TIMEOUT": "1ms", "EMAIL_RETRY_MAX": "0s", "EMAIL_RETRY_FOR": "800h", "EMAIL_PER_HOUR": "-1", "RETENTION_NOTIFICATIONS": "24h"}
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
	for name, breakIt := range map[string]func(c *notifications.Config){
		"no sender":          func(c *notifications.Config) { c.EmailFrom = "" },
		"sender with a name": func(c *notifications.Config) { c.EmailFrom = "Orders <orders@example.org>" },
		"too many at once":   func(c *notifications.Config) { c.EmailConcurrency = 257 },
		"endless attempt":    func(c *notifications.Config) { c.EmailTimeout = time.Hour },
		"endless pause":      func(c *notifications.Config) { c.EmailRetryMax = 48 * time.Hour },
		"text gone too soon": func(c *notifications.Config) {
			c.EmailRetryFor, c.RetentionNotifications = 300*time.Hour, 299*time.Hour
		},
		"no mail server at": func(c *notifications.Config) { c.SMTPURL = "smtp://" },
	} {
		cfg := configFrom(t, map[string]string{"DATABASE_URL": someDatabase})
		breakIt(&cfg)
		require.Error(t, cfg.Validate(), name)
	}
}
