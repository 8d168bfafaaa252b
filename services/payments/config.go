package payments

import (
	"errors"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider"
)

// Config has everything that can be set. A program that runs the service in its own process fills it itself.
type Config struct {
	service.Base

	FraudLimits     string `env:"FRAUD_LIMIT" envDefault:"USD=900,EUR=850,GBP=750,CHF=800,CAD=1250,AUD=1400,JPY=130000,CNY=6500,INR=75000,KRW=1200000,HUF=320000,CZK=21000,PLN=3600,SEK=9500,NOK=9500,DKK=6300,VND=23000000,IDR=14500000" desc:"largest amounts, in major units, that are not suspected of fraud, as CURRENCY=AMOUNT; a number alone is in USD; other currencies get no automatic decision"`
	FraudAlertEmail string `env:"FRAUD_ALERT_EMAIL" envDefault:"security@example.com" desc:"address that is alerted of suspected fraud"`

	ProviderURL       string        `env:"PROVIDER_URL" envDefault:"simulated:" desc:"URL of the payment provider, whose scheme picks it; simulated: is the one that moves no money"`
	ProviderLatency   time.Duration `env:"PROVIDER_LATENCY" envDefault:"0s" desc:"how long each call to the simulated provider takes, 10s at most"`
	ProviderErrorRate float64       `env:"PROVIDER_ERROR_RATE" envDefault:"0" desc:"share of calls to the simulated provider, 0 to 1, that get no answer"`

	RetentionPayments time.Duration `env:"RETENTION_PAYMENTS" envDefault:"0s" desc:"how long a payment is kept since its last change, 192h at least and not less than RETENTION_ORDERS of orders; 0: for ever"`
	RetentionLedger   time.Duration `env:"RETENTION_LEDGER" envDefault:"0s" desc:"how long the simulated provider's entry of a payment is kept, not less than RETENTION_PAYMENTS; 0: for ever"`
}

// SetDefaults sets what has no default in a tag.
func (c *Config) SetDefaults() { c.HTTPAddr, c.AdminAddr = "127.0.0.1:8084", "127.0.0.1:9084" }

// maxLatency keeps a provider call below the time that the bus gives a handler.
const maxLatency = 10 * time.Second

// Validate returns all problems joined.
func (c Config) Validate() error {
	_, limits := domain.ParseFraudLimits(c.FraudLimits)
	scheme := provider.CheckURL(c.ProviderURL)
	alert := messages.NotificationRequested{UserID: "u", Message: "m", Channel: messages.ChannelEmail, To: c.FraudAlertEmail}
	return errors.Join(
		c.Base.Validate(), c.Signing.Signs(),
		service.Rule(limits == nil, "FRAUD_LIMIT: %w", limits),
		service.Rule(c.FraudAlertEmail != "" && alert.Validate() == nil, "FRAUD_ALERT_EMAIL: %q is not an email address", c.FraudAlertEmail),
		service.Rule(scheme == nil, "PROVIDER_URL: %w", scheme),
		service.Rule(c.ProviderLatency >= 0 && c.ProviderLatency <= maxLatency, "PROVIDER_LATENCY: %s is not between 0s and %s", c.ProviderLatency, maxLatency),
		retention.Check("RETENTION_PAYMENTS", c.RetentionPayments, retention.Least, "the time for which the topics have its records"),
		service.Rule(c.RetentionLedger == 0 || c.RetentionPayments > 0 && c.RetentionLedger >= c.RetentionPayments,
			"RETENTION_LEDGER: %s is less than RETENTION_PAYMENTS (%s; 0s means for ever): an entry goes after its payment",
			c.RetentionLedger, c.RetentionPayments),
		service.Rule(c.ProviderErrorRate >= 0 && c.ProviderErrorRate <= 1, "PROVIDER_ERROR_RATE: %v is not between 0 and 1", c.ProviderErrorRate),
	)
}
