package service_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/run"
)

const someDatabase = "postgres://parcels:secret@localhost/pasdetrois"

func parse(t *testing.T, environ map[string]string) config {
	t.Helper()
	cfg, err := run.Parse[config](environ)
	require.NoError(t, err)
	return cfg
}

func TestBaseHasDefaults(t *testing.T) {
	t.Parallel()
	cfg := parse(t, map[string]string{"DATABASE_URL": someDatabase})
	require.NoError(t, cfg.Validate())
	require.Equal(t, "127.0.0.1:8086", cfg.HTTPAddr)
	require.Equal(t, "127.0.0.1:9086", cfg.Admin())
	require.Equal(t, []string{"localhost:9092"}, cfg.Kafka.Brokers)
	level, format := cfg.Logging()
	require.Equal(t, "info json", level+" "+format)
}

func TestBaseValidateNamesEveryProblem(t *testing.T) {
	t.Parallel()
	wrong := map[string]string{"KAFKA_BROKERS": "nowhere", "HTTP_ADDR": "8086", "ADMIN_ADDR": "9086", "ALLOWED_HOSTS": "a:80", "ALLOWED_ORIGINS": "a",
		"DATABASE_URL": "postgres://parcels:sesame@local host/x", "DATABASE_MAX_CONNS": "3", "DEAD_LETTERS_MAX": "1",
		"OTEL_EXPORTER_OTLP_PROTOCOL": "udp", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "DRAIN_TIMEOUT": "0s",
		"RETENTION_LETTERS": "1h", "RETENTION_AUDIT_LOG": "1h"}
	err := parse(t, wrong).Validate()
	require.Error(t, err)
	for name := range wrong {
		require.Contains(t, err.Error(), name)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), len(wrong), "one line each")
	require.NotContains(t, err.Error(), "sesame")
}

func TestBaseValidateSingleProblems(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(c *config){
		"no database":       func(c *config) { c.DatabaseURL = "" },
		"no brokers":        func(c *config) { c.Kafka.Brokers = nil },
		"bad topic prefix":  func(c *config) { c.Kafka.TopicPrefix = "a b" },
		"no public address": func(c *config) { c.HTTPAddr = "" },
		"no admin address":  func(c *config) { c.AdminAddr = "" },
		"no log level":      func(c *config) { c.LogLevel = "" },
		"no format":         func(c *config) { c.LogFormat = "" },
		"negative drain":    func(c *config) { c.DrainTimeout = -time.Second },
		"own setting":       func(c *config) { c.Carrier = "" },
	} {
		cfg := parse(t, map[string]string{"DATABASE_URL": someDatabase})
		breakIt(&cfg)
		require.Error(t, cfg.Validate(), name)
	}
}
