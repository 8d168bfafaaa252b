package orders

import (
	"errors"
	"time"

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
		service.Positive("PAYMENT_TIMEOUT", c.PaymentTimeout),
		service.Positive("PENDING_REPUBLISH_AFTER", c.PendingRepublish),
		service.Positive("HELD_TIMEOUT", c.HeldTimeout),
		service.Positive("IDEMPOTENCY_KEY_TTL", c.IdempotencyKeyTTL),
		retention.Check("RETENTION_ORDERS", c.RetentionOrders, c.leastRetention(),
			"the time for which an order may be open, its records redelivered or its Idempotency-Key remembered"),
		service.Rule(c.SettleWithin >= 0, "SETTLE_WITHIN: %s is less than 0s, which means for ever", c.SettleWithin),
	)
}
