package notifications

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/notifications/internal/email"
)

// Config is everything that can be set. A program that runs the service in its own process fills it itself.
type Config struct {
	bus.Config

	HTTPAddr    string `env:"HTTP_ADDR" envDefault:":8085" desc:"address of the public API"`
	AdminAddr   string `env:"ADMIN_ADDR" envDefault:":9085" desc:"address of health, metrics and dead letters"`
	DatabaseURL string `env:"DATABASE_URL" desc:"Postgres URL of the service's own role; DATABASE_URL_FILE names a file with it"`

	SMTPURL   string `env:"SMTP_URL" desc:"mail server: smtp://user:password@host:port?tls=starttls|none or smtps://…; empty: emails are written to the log"`
	EmailFrom string `env:"EMAIL_FROM" envDefault:"orders@pasdetrois.invalid" desc:"address that emails come from"`

	EmailConcurrency int           `env:"EMAIL_CONCURRENCY" envDefault:"4" desc:"emails being sent at once"`
	EmailTimeout     time.Duration `env:"EMAIL_TIMEOUT" envDefault:"10s" desc:"until the mail server has all of an email; its answer may take 10 minutes; what a killed process left behind is sent 5 s later than that"`
	EmailRetryMax    time.Duration `env:"EMAIL_RETRY_MAX" envDefault:"5m" desc:"longest pause between two attempts; the first is 1 s, each one twice as long"`
	EmailRetryFor    time.Duration `env:"EMAIL_RETRY_FOR" envDefault:"120h" desc:"how long an email is tried before it fails; pas emails retry sends it again"`
	EmailPerHour     int           `env:"EMAIL_PER_HOUR" envDefault:"20" desc:"emails to one address within an hour; what is above waits its turn; 0: no limit"`

	Tracing tracing.Settings
	Letters deadletter.Bounds

	LogLevel     string        `env:"LOG_LEVEL" envDefault:"info" desc:"debug, info, warn or error"`
	LogFormat    string        `env:"LOG_FORMAT" envDefault:"json" desc:"json or text"`
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"10s" desc:"how long messages, emails and requests in work may take to finish at shutdown"`

	// HTTPListener and AdminListener are used instead of the addresses when they are set. Run closes them.
	HTTPListener  net.Listener `env:"-"`
	AdminListener net.Listener `env:"-"`
	// EmailLog gets the email lines, as JSON, instead of the service's log. It needs no lock of its own.
	EmailLog io.Writer `env:"-"`
}

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
	if c.SMTPURL != "" {
		if err := email.ParseURL(c.SMTPURL); err != nil {
			wrong("SMTP_URL: %w", err)
		}
	}
	if !validEmail(c.EmailFrom) {
		wrong("EMAIL_FROM: %q is not an email address", c.EmailFrom)
	}
	if c.EmailConcurrency < 1 || c.EmailConcurrency > 256 {
		wrong("EMAIL_CONCURRENCY: %d is not between 1 and 256", c.EmailConcurrency)
	}
	if c.EmailTimeout < time.Second || c.EmailTimeout > 5*time.Minute {
		wrong("EMAIL_TIMEOUT: %s is not between 1s and 5m", c.EmailTimeout)
	}
	if c.EmailRetryMax < time.Second || c.EmailRetryMax > 24*time.Hour {
		wrong("EMAIL_RETRY_MAX: %s is not between 1s and 24h", c.EmailRetryMax)
	}
	if c.EmailRetryFor < c.EmailRetryMax || c.EmailRetryFor > 30*24*time.Hour {
		wrong("EMAIL_RETRY_FOR: %s is not between EMAIL_RETRY_MAX (%s) and 720h", c.EmailRetryFor, c.EmailRetryMax)
	}
	if c.EmailPerHour < 0 || c.EmailPerHour > 1000 {
		wrong("EMAIL_PER_HOUR: %d is not between 0 and 1000", c.EmailPerHour)
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

// validEmail asks the contract for what it takes as an address.
func validEmail(s string) bool {
	return s != "" && messages.NotificationRequested{UserID: "u", Message: "m", Channel: messages.ChannelEmail, To: s}.Validate() == nil
}

// Admin returns the admin listener's address, for healthcheck.
func (c Config) Admin() string { return c.AdminAddr }

// Logging returns level and format.
func (c Config) Logging() (level, format string) { return c.LogLevel, c.LogFormat }
