package payments

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/payments/internal/domain"
)

// Config is everything that can be set. A program that runs the service in its own process fills it itself.
type Config struct {
	bus.Config

	HTTPAddr    string `env:"HTTP_ADDR" envDefault:":8084" desc:"address of the public API"`
	AdminAddr   string `env:"ADMIN_ADDR" envDefault:":9084" desc:"address of health, metrics and dead letters"`
	DatabaseURL string `env:"DATABASE_URL" desc:"Postgres URL of the service's own role; DATABASE_URL_FILE names a file with it"`

	FraudLimits     string `env:"FRAUD_LIMIT" envDefault:"USD=900,EUR=850,GBP=750,CHF=800,CAD=1250,AUD=1400,JPY=130000,CNY=6500,INR=75000,KRW=1200000,HUF=320000,CZK=21000,PLN=3600,SEK=9500,NOK=9500,DKK=6300,VND=23000000,IDR=14500000" desc:"largest amounts, in major units, that are not suspected of fraud, as CURRENCY=AMOUNT; other currencies get no automatic decision"`
	FraudAlertEmail string `env:"FRAUD_ALERT_EMAIL" envDefault:"security@example.com" desc:"where suspected fraud is reported to"`

	ProviderLatency   time.Duration `env:"PROVIDER_LATENCY" envDefault:"0s" desc:"how long each call to the simulated provider takes"`
	ProviderErrorRate float64       `env:"PROVIDER_ERROR_RATE" envDefault:"0" desc:"share of provider calls, 0 to 1, that get no answer"`

	Tracing tracing.Settings
	Letters deadletter.Bounds

	LogLevel     string        `env:"LOG_LEVEL" envDefault:"info" desc:"debug, info, warn or error"`
	LogFormat    string        `env:"LOG_FORMAT" envDefault:"json" desc:"json or text"`
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"10s" desc:"how long messages and requests in work may take to finish at shutdown"`

	// HTTPListener and AdminListener are used instead of the addresses when they are set. Run closes them.
	HTTPListener  net.Listener `env:"-"`
	AdminListener net.Listener `env:"-"`
}

// maxLatency keeps a provider call below the time that the bus gives a handler.
const maxLatency = 10 * time.Second

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
	if _, err := domain.ParseFraudLimits(c.FraudLimits); err != nil {
		wrong("FRAUD_LIMIT: %w", err)
	}
	if !validEmail(c.FraudAlertEmail) {
		wrong("FRAUD_ALERT_EMAIL: %q is not an email address", c.FraudAlertEmail)
	}
	if c.ProviderLatency < 0 || c.ProviderLatency > maxLatency {
		wrong("PROVIDER_LATENCY: %s is not between 0s and %s", c.ProviderLatency, maxLatency)
	}
	if !(c.ProviderErrorRate >= 0 && c.ProviderErrorRate <= 1) {
		wrong("PROVIDER_ERROR_RATE: %v is not between 0 and 1", c.ProviderErrorRate)
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
	if c.DrainTimeout <= 0 {
		wrong("DRAIN_TIMEOUT: %s must be more than 0s", c.DrainTimeout)
	}
	return errors.Join(errs...)
}

// validEmail asks the contract, because that is what the address is sent with.
func validEmail(s string) bool {
	return s != "" && messages.NotificationRequested{UserID: "u", Message: "m", Channel: messages.ChannelEmail, To: s}.Validate() == nil
}

// Admin returns the admin listener's address, for healthcheck.
func (c Config) Admin() string { return c.AdminAddr }

// Logging returns level and format.
func (c Config) Logging() (level, format string) { return c.LogLevel, c.LogFormat }
