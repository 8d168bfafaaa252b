package orders

import (
	"errors"
	"time"

	"pasdetrois/pkg/platform/ratelimit"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/service"
)

// Config has everything that can be set. A program that runs the service in its own process fills it itself.
type Config struct {
	service.Base

	PaymentTimeout    time.Duration `env:"PAYMENT_TIMEOUT" envDefault:"15m" desc:"how long an order waits for its payment before it fails"`
	SettleWithin      time.Duration `env:"SETTLE_WITHIN" envDefault:"10s" desc:"how long orders may wait for their end, when more than 5,000 of a replica do, before it takes fewer over HTTP than reach their end; 0: it takes all"`
	PendingRepublish  time.Duration `env:"PENDING_REPUBLISH_AFTER" envDefault:"1m" desc:"how long an order may be pending or cancelling before its message is published again; doubles each time"`
	HeldTimeout       time.Duration `env:"HELD_TIMEOUT" envDefault:"1m" desc:"how long a message waits for its order before it is parked"`
	IdempotencyKeyTTL time.Duration `env:"IDEMPOTENCY_KEY_TTL" envDefault:"24h" desc:"how long an Idempotency-Key is remembered"`
	RetentionOrders   time.Duration `env:"RETENTION_ORDERS" envDefault:"0s" desc:"how long a settled order is kept, with its lines and its timeline, since its last change, 192h at least; 0: for ever"`

	RateOrders     int      `env:"RATE_ORDERS" envDefault:"20" desc:"orders a second that one user may place, or one address where nobody logs in; two and a half times as many at once; 0: no limit"`
	RateStreams    int      `env:"RATE_STREAMS" envDefault:"10" desc:"event streams that one user or address may have open; 0: no limit"`
	RateWaits      int      `env:"RATE_WAITS" envDefault:"20" desc:"requests with ?wait= that one user or address may have in work; 0: no limit"`
	TrustedProxies []string `env:"TRUSTED_PROXIES" desc:"addresses or networks of proxies, such as 10.0.0.0/8, whose X-Forwarded-For names the client, comma separated"`

	// Only tests set these; 0 = sweepEvery and the defaults of package outbox.
	SweepEvery, OutboxGrace, OutboxPoll time.Duration `env:"-"`
}

// sweepEvery is how often the sweepers look for rows that are due.
const sweepEvery = time.Second

// maxConns is the default of DATABASE_MAX_CONNS: HTTP, consumers and loops work at the same time.
const maxConns = 16

// SetDefaults sets what has no default in a tag.
func (c *Config) SetDefaults() {
	c.HTTPAddr, c.AdminAddr, c.MaxConns = "127.0.0.1:8080", "127.0.0.1:9080", maxConns
}

// leastRetention is the shortest time that orders may be kept: longer than any of them is open.
func (c Config) leastRetention() time.Duration {
	return max(retention.Least, c.PaymentTimeout+c.PendingRepublish+c.HeldTimeout, c.IdempotencyKeyTTL)
}

// Validate returns all problems joined.
func (c Config) Validate() error {
	return errors.Join(
		c.Base.Validate(), c.Signing.Signs(),
		c.validateRates(),
		service.Positive("PAYMENT_TIMEOUT", c.PaymentTimeout),
		service.Positive("PENDING_REPUBLISH_AFTER", c.PendingRepublish),
		service.Positive("HELD_TIMEOUT", c.HeldTimeout),
		service.Positive("IDEMPOTENCY_KEY_TTL", c.IdempotencyKeyTTL),
		retention.Check("RETENTION_ORDERS", c.RetentionOrders, c.leastRetention(),
			"the time for which an order may be open, its records redelivered or its Idempotency-Key remembered"),
		service.Rule(c.SettleWithin >= 0, "SETTLE_WITHIN: %s is less than 0s, which means for ever", c.SettleWithin),
	)
}

// mostOfARate is far above what a replica can do: a larger number is a slip.
const mostOfARate = 1_000_000

func (c Config) validateRates() error {
	within := func(name string, rate int) error {
		return service.Rule(rate >= 0 && rate <= mostOfARate, "%s: %d is not between 0 (no limit) and %d", name, rate, mostOfARate)
	}
	_, err := ratelimit.ParseProxies(c.TrustedProxies)
	return errors.Join(within("RATE_ORDERS", c.RateOrders), within("RATE_STREAMS", c.RateStreams), within("RATE_WAITS", c.RateWaits),
		service.Rule(err == nil, "TRUSTED_PROXIES: %w", err))
}
