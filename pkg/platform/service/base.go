package service

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"pasdetrois/pkg/platform/adminauth"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/tracing"
)

// Base has the settings of every service. A service embeds it in a Config of its own, beside its own settings, and gives it
// the addresses in a method SetDefaults. The tags are the documentation: `SERVICE help` and docs/operations.md show them.
type Base struct {
	HTTPAddr    string `env:"HTTP_ADDR" desc:"address of the public API"`
	AdminAddr   string `env:"ADMIN_ADDR" desc:"address of the admin API: health, metrics, consumers, dead letters"`
	DatabaseURL string `env:"DATABASE_URL" desc:"required: Postgres URL of the service's own role"`
	MaxConns    int32  `env:"DATABASE_MAX_CONNS" desc:"database connections at most, 4 or more, beside the one that each replica has for its lease; none: the number of CPUs, 4 at least"`

	Edge      httpx.Edge
	Auth      auth.Settings
	Access    adminauth.Settings
	Kafka     kafka.Config
	Letters   deadletter.Bounds
	Retention retention.Settings
	Erasing   erasure.Settings
	Signing   signing.Settings
	Tracing   tracing.Settings

	LogLevel     string        `env:"LOG_LEVEL" envDefault:"info" desc:"debug, info, warn or error"`
	LogFormat    string        `env:"LOG_FORMAT" envDefault:"json" desc:"json or text"`
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"10s" desc:"how long work may take to finish at shutdown"`

	// HTTPListener and AdminListener are used instead of the addresses when they are set. The Shell closes them.
	HTTPListener  net.Listener `env:"-"`
	AdminListener net.Listener `env:"-"`
}

// minConns is the smallest useful pool: one connection each for consuming, for HTTP, for the outbox and for loops.
const minConns = 4

// Validate returns all problems joined.
func (b Base) Validate() error {
	var level slog.Level
	return errors.Join(
		b.Edge.Validate(),
		b.Auth.Validate(), b.Access.Validate(), b.Kafka.Validate(), b.Letters.Validate(), b.Erasing.Validate(), b.Retention.Validate(), b.Signing.Validate(), b.Tracing.Validate(),
		address("HTTP_ADDR", b.HTTPAddr, b.HTTPListener),
		address("ADMIN_ADDR", b.AdminAddr, b.AdminListener),
		b.asked(),
		databaseURL(b.DatabaseURL),
		Rule(b.MaxConns == 0 || b.MaxConns >= minConns, "DATABASE_MAX_CONNS: %d is less than %d", b.MaxConns, minConns),
		Rule(level.UnmarshalText([]byte(b.LogLevel)) == nil, "LOG_LEVEL: %q is not one of debug, info, warn, error", b.LogLevel),
		Rule(b.LogFormat == "json" || b.LogFormat == "text", "LOG_FORMAT: %q is neither json nor text", b.LogFormat),
		Positive("DRAIN_TIMEOUT", b.DrainTimeout),
	)
}

func address(name, addr string, given net.Listener) error {
	_, _, err := net.SplitHostPort(addr)
	return Rule(err == nil || given != nil, "%s: %q is not host:port", name, addr)
}

// asked refuses a service without logins that other machines can reach: a port that is opened by mistake would give
// everybody's data to everybody. AUTH=off-on-purpose says that it is no mistake.
func (b Base) asked() error {
	if b.Auth.Mode == auth.OffOnPurpose {
		return nil
	}
	var open, set []string
	ask := func(name, addr string, given net.Listener, remedy string) {
		if given != nil {
			addr = given.Addr().String()
		}
		if host, _, err := net.SplitHostPort(addr); err == nil && !httpx.LoopbackName(host) {
			open, set = append(open, name+"="+addr), append(set, remedy)
		}
	}
	otherwise := "listen on 127.0.0.1"
	if !b.Auth.On() {
		ask("HTTP_ADDR", b.HTTPAddr, b.HTTPListener, "AUTH=oidc")
		otherwise = "AUTH=off-on-purpose, or " + otherwise
	}
	if !b.Access.Asks() {
		ask("ADMIN_ADDR", b.AdminAddr, b.AdminListener, "ADMIN_TOKEN_FILE")
	}
	return Rule(len(open) == 0, "nobody is asked who calls, and other machines reach %s: set %s, or %s",
		strings.Join(open, " and "), strings.Join(set, " and "), otherwise)
}

func databaseURL(url string) error {
	if url == "" {
		return errors.New("DATABASE_URL is empty: give a postgres:// URL (or DATABASE_URL_FILE)")
	}
	err := pgdb.CheckURL(url)
	return Rule(err == nil, "DATABASE_URL: %w", err) // pgx leaves the password out
}

// Admin returns the admin listener's address, for healthcheck.
func (b Base) Admin() string { return b.AdminAddr }

// AdminTLS reports whether the admin listener speaks TLS, for healthcheck.
func (b Base) AdminTLS() bool { return b.Access.TLS() }

// Logging returns level and format.
func (b Base) Logging() (level, format string) { return b.LogLevel, b.LogFormat }

// Rule returns nil when a setting is valid, else an error made as by fmt.Errorf. Validate methods join the results.
func Rule(valid bool, format string, args ...any) error {
	if valid {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// Positive is the Rule of a duration that must be more than zero.
func Positive(name string, d time.Duration) error {
	return Rule(d > 0, "%s: %s must be more than 0s", name, d)
}
