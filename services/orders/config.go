package orders

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/tracing"
)

// Config is everything that can be set. A program that runs the service in its own process fills it itself.
type Config struct {
	bus.Config

	HTTPAddr    string `env:"HTTP_ADDR" envDefault:":8080" desc:"address of the public API"`
	AdminAddr   string `env:"ADMIN_ADDR" envDefault:":9080" desc:"address of health, metrics, inventory and dead letters"`
	DatabaseURL string `env:"DATABASE_URL" desc:"Postgres URL of the service's own role; DATABASE_URL_FILE names a file with it"`
	MaxConns    int32  `env:"DATABASE_MAX_CONNS" envDefault:"16" desc:"how many database connections to use at most"`

	PaymentTimeout    time.Duration `env:"PAYMENT_TIMEOUT" envDefault:"15m" desc:"how long an order waits for its payment before it fails"`
	SettleWithin      time.Duration `env:"SETTLE_WITHIN" envDefault:"10s" desc:"how long thousands of orders may wait for their end before fewer are taken over HTTP; 0 = for ever"`
	PendingRepublish  time.Duration `env:"PENDING_REPUBLISH_AFTER" envDefault:"1m" desc:"how long an order may be pending or cancelling before its message is published again; doubles each time"`
	HeldTimeout       time.Duration `env:"HELD_TIMEOUT" envDefault:"1m" desc:"how long a message waits for its order before it is parked"`
	IdempotencyKeyTTL time.Duration `env:"IDEMPOTENCY_KEY_TTL" envDefault:"24h" desc:"how long an Idempotency-Key is remembered"`
	SweepInterval     time.Duration `env:"SWEEP_INTERVAL" envDefault:"1s" desc:"how often timeouts are looked for"`
	OutboxGrace       time.Duration `env:"OUTBOX_GRACE" envDefault:"2s" desc:"how old a message in the outbox must be to be published from the table"`
	OutboxPoll        time.Duration `env:"OUTBOX_POLL" envDefault:"500ms" desc:"how often the outbox table is looked at"`

	Tracing tracing.Settings
	Letters deadletter.Bounds

	LogLevel     string        `env:"LOG_LEVEL" envDefault:"info" desc:"debug, info, warn or error"`
	LogFormat    string        `env:"LOG_FORMAT" envDefault:"json" desc:"json or text"`
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"10s" desc:"how long messages and requests in work may take to finish at shutdown"`

	// HTTPListener and AdminListener are used instead of the addresses when they are set. Run closes them.
	HTTPListener  net.Listener `env:"-"`
	AdminListener net.Listener `env:"-"`
}

// minConns is what the service cannot do without: one connection for the outbox, one for consuming, one for HTTP and one
// for the sweepers.
const minConns = 4

// Validate returns all problems joined.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := errors.Join(c.Config.Validate(), c.Letters.Validate()); err != nil {
		errs = append(errs, err)
	}
	address := func(name, addr string, l net.Listener) {
		if _, _, err := net.SplitHostPort(addr); err != nil && l == nil {
			wrong("%s: %q is not host:port", name, addr)
		}
	}
	address("HTTP_ADDR", c.HTTPAddr, c.HTTPListener)
	address("ADMIN_ADDR", c.AdminAddr, c.AdminListener)
	if c.DatabaseURL == "" {
		wrong("DATABASE_URL is empty: give a postgres:// URL (or DATABASE_URL_FILE)")
	} else if err := pgdb.CheckURL(c.DatabaseURL); err != nil {
		wrong("DATABASE_URL: %w", err) // pgx leaves the password out
	}
	if c.MaxConns < minConns {
		wrong("DATABASE_MAX_CONNS: %d is less than %d", c.MaxConns, minConns)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"PAYMENT_TIMEOUT", c.PaymentTimeout},
		{"PENDING_REPUBLISH_AFTER", c.PendingRepublish},
		{"HELD_TIMEOUT", c.HeldTimeout},
		{"IDEMPOTENCY_KEY_TTL", c.IdempotencyKeyTTL},
		{"SWEEP_INTERVAL", c.SweepInterval},
		{"OUTBOX_GRACE", c.OutboxGrace},
		{"OUTBOX_POLL", c.OutboxPoll},
		{"DRAIN_TIMEOUT", c.DrainTimeout},
	} {
		if d.value <= 0 {
			wrong("%s: %s must be more than 0s", d.name, d.value)
		}
	}
	if c.SettleWithin < 0 {
		wrong("SETTLE_WITHIN: %s is less than 0s, which means for ever", c.SettleWithin)
	}
	if err := c.Tracing.Validate(); err != nil {
		errs = append(errs, err)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		wrong("LOG_LEVEL: %q is none of debug, info, warn, error", c.LogLevel)
	}
	if c.LogFormat != "json" && c.LogFormat != "text" {
		wrong("LOG_FORMAT: %q is neither json nor text", c.LogFormat)
	}
	return errors.Join(errs...)
}

// Admin returns the admin listener's address, for healthcheck.
func (c Config) Admin() string { return c.AdminAddr }

// Logging returns level and format.
func (c Config) Logging() (level, format string) { return c.LogLevel, c.LogFormat }
