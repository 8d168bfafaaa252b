package notifications

import (
	"errors"
	"io"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/services/notifications/internal/email"
)

// Config has everything that can be set. A program that runs the service in its own process fills it itself.
type Config struct {
	service.Base

	SMTPURL   string `env:"SMTP_URL" desc:"mail server: smtp://user:password@host:port?tls=starttls|none or smtps://…; none: emails are written to the log"`
	EmailFrom string `env:"EMAIL_FROM" envDefault:"orders@pasdetrois.invalid" desc:"address that emails come from"`

	EmailConcurrency int           `env:"EMAIL_CONCURRENCY" envDefault:"4" desc:"emails being sent at once, 1 to 256"`
	EmailTimeout     time.Duration `env:"EMAIL_TIMEOUT" envDefault:"10s" desc:"until the mail server has all of an email; its answer may take 10 minutes more; an email of a killed process is sent 5 s later than this"`
	EmailRetryMax    time.Duration `env:"EMAIL_RETRY_MAX" envDefault:"5m" desc:"longest pause between two attempts; the first is 1 s, each one twice as long"`
	EmailRetryFor    time.Duration `env:"EMAIL_RETRY_FOR" envDefault:"120h" desc:"how long an email is tried before it fails; pas emails retry sends it again"`
	EmailPerHour     int           `env:"EMAIL_PER_HOUR" envDefault:"20" desc:"emails to one address within an hour; others wait their turn for up to a day; 0: no limit; lines of the log are not limited"`

	RetentionNotifications time.Duration `env:"RETENTION_NOTIFICATIONS" envDefault:"0s" desc:"how long the text and the address of an email are kept after it was sent or failed, 192h at least; the rest of its row stays; 0: for ever"`

	// SweepEvery replaces sweepEvery in tests.
	SweepEvery time.Duration `env:"-"`
	// EmailLog gets the email lines, as JSON, instead of the service's log. It needs no lock of its own.
	EmailLog io.Writer `env:"-"`
}

// SetDefaults sets what has no default in a tag.
func (c *Config) SetDefaults() { c.HTTPAddr, c.AdminAddr = "127.0.0.1:8085", "127.0.0.1:9085" }

// Validate returns all problems joined.
func (c Config) Validate() error {
	var server error
	if c.SMTPURL != "" {
		server = email.ParseURL(c.SMTPURL)
	}
	from := messages.NotificationRequested{UserID: "u", Message: "m", Channel: messages.ChannelEmail, To: c.EmailFrom}
	return errors.Join(
		c.Base.Validate(),
		service.Rule(server == nil, "SMTP_URL: %w", server),
		service.Rule(c.EmailFrom != "" && from.Validate() == nil, "EMAIL_FROM: %q is not an email address", c.EmailFrom),
		service.Rule(c.EmailConcurrency >= 1 && c.EmailConcurrency <= 256, "EMAIL_CONCURRENCY: %d is not between 1 and 256", c.EmailConcurrency),
		service.Rule(c.EmailTimeout >= time.Second && c.EmailTimeout <= 5*time.Minute, "EMAIL_TIMEOUT: %s is not between 1s and 5m", c.EmailTimeout),
		service.Rule(c.EmailRetryMax >= time.Second && c.EmailRetryMax <= 24*time.Hour, "EMAIL_RETRY_MAX: %s is not between 1s and 24h", c.EmailRetryMax),
		service.Rule(c.EmailRetryFor >= c.EmailRetryMax && c.EmailRetryFor <= 30*24*time.Hour,
			"EMAIL_RETRY_FOR: %s is not between EMAIL_RETRY_MAX (%s) and 720h", c.EmailRetryFor, c.EmailRetryMax),
		retention.Check("RETENTION_NOTIFICATIONS", c.RetentionNotifications, max(retention.Least, c.EmailRetryFor),
			"the time for which an email may be tried, or the topics have its records"),
		service.Rule(c.EmailPerHour >= 0 && c.EmailPerHour <= 1000, "EMAIL_PER_HOUR: %d is not between 0 and 1000", c.EmailPerHour),
	)
}
