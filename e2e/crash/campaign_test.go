//go:build crash

package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"pasdetrois/e2e/progress"
	"pasdetrois/e2e/purchase"
	"pasdetrois/pkg/messages"
)

// How often each round is played. The order is random.
const (
	roundsApart      = 3 // each service at a moment of its own, and perhaps again while it comes up
	roundsAtOnce     = 1 // all three services in the same moment
	roundsUnheard    = 1 // all three services while the broker takes next to nothing from them: decided, committed, not published
	roundsBroker     = 2 // the broker
	roundsEverything = 2 // the broker, and while it is dead all three services: nothing in work could be published
)

// campaign is the sequence of blows.
type campaign struct {
	*system
	began  time.Time
	rng    *rand.Rand
	log    func(format string, args ...any)
	blows  []blow
	slow   time.Duration // the longest until orders went through again
	broken int           // kills of the broker
}

func (c *campaign) run() error {
	type round struct {
		name string
		play func() error
	}
	rounds := slices.Concat(
		slices.Repeat([]round{{"one by one", c.apart}}, roundsApart),
		slices.Repeat([]round{{"all at once", c.atOnce}}, roundsAtOnce))
	if c.system.broker == nil {
		c.log("THE BROKER IS NEITHER KILLED NOR SLOWED DOWN: %s", c.noBroker)
	} else {
		rounds = slices.Concat(rounds,
			slices.Repeat([]round{{"all unheard", c.unheard}}, roundsUnheard),
			slices.Repeat([]round{{"broker", c.brokerAlone}}, roundsBroker),
			slices.Repeat([]round{{"broker, then all", c.everything}}, roundsEverything))
	}
	c.rng.Shuffle(len(rounds), func(i, j int) { rounds[i], rounds[j] = rounds[j], rounds[i] })
	if err := c.recovered("start"); err != nil {
		return err
	}
	for _, r := range rounds {
		// In full work, at any moment.
		if err := errors.Join(pause(c.ctx, 500*time.Millisecond), c.wait(2*time.Second)); err != nil {
			return err
		}
		if err := r.play(); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if err := c.recovered(r.name); err != nil {
			return err
		}
	}
	return nil
}

// recovered waits until an order that was placed from now on has passed through all three services.
func (c *campaign) recovered(after string) error {
	since := time.Now()
	err := c.until(recoveryLimit, "orders go through again after "+after, func() error {
		yes, err := progress.Through(c.ctx, c.conn, since)
		if err == nil && !yes {
			err = fmt.Errorf("no order placed since then is through")
		}
		return err
	})
	took := time.Since(since)
	c.slow = max(c.slow, took)
	c.log("%5.1fs orders go through, %.1fs after %s", time.Since(c.began).Seconds(), took.Seconds(), after)
	return err
}

// wait waits up to limit.
func (c *campaign) wait(limit time.Duration) error {
	return pause(c.ctx, time.Duration(c.rng.Int64N(int64(limit))))
}

// strike kills what is named and notes what was open.
func (c *campaign) strike(victim string, do func() error) error {
	open, err := progress.Look(c.ctx, c.conn)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	b := blow{open, victim, time.Since(c.began)}
	c.blows = append(c.blows, b)
	c.log("%5.1fs SIGKILL %-13s %3d orders open, %3d messages in the outbox, %2d emails not sent", b.at.Seconds(), victim, b.Orders, b.Outbox, b.Unsent)
	return nil
}

func (c *campaign) strikeService(name string) error {
	return c.strike(name, func() error { return kill(c.services[name]) })
}

func (c *campaign) apart() error {
	names := messages.Services()
	for _, i := range c.rng.Perm(len(names)) {
		if err := c.wait(700 * time.Millisecond); err != nil {
			return err
		}
		if err := c.strikeService(names[i]); err != nil {
			return err
		}
		if c.rng.IntN(3) > 0 {
			continue
		}
		if err := c.wait(time.Second); err != nil {
			return err
		}
		if err := c.strikeService(names[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *campaign) atOnce() error {
	return c.strike("all services", func() error {
		all := make([]*process, 0, len(c.services))
		for _, p := range c.services {
			all = append(all, p)
		}
		return kill(all...)
	})
}

// unheard makes the moment between a decision and its publishing long enough to be hit for certain.
func (c *campaign) unheard() error {
	return errors.Join(
		c.wire.throttle(c.ctx, true),
		pause(c.ctx, 1500*time.Millisecond), // acknowledgements are committed every half second
		c.wire.throttle(c.ctx, false),
		c.atOnce())
}

func (c *campaign) brokerAlone() error {
	if err := c.killBroker(); err != nil {
		return err
	}
	return c.startBroker()
}

func (c *campaign) everything() error {
	if err := c.killBroker(); err != nil {
		return err
	}
	if err := c.wait(time.Second); err != nil {
		return err
	}
	if err := c.atOnce(); err != nil {
		return err
	}
	return c.startBroker()
}

func (c *campaign) killBroker() error {
	c.broken++
	return c.strike("the broker", func() error { return c.system.broker.Kill(c.ctx) })
}

// startBroker tries until it starts: its port may have been somebody else's for a moment.
func (c *campaign) startBroker() error {
	return c.until(recoveryLimit, "the broker starts", func() error { return c.system.broker.Start(c.ctx) })
}

// report is the table of a run.
func report(s *system, c *campaign, sum tally, left []leftover, loaded, settled, whole time.Duration) string {
	var out strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "\n  %-24s %s", name, fmt.Sprintf(format, args...))
	}
	line("orders accepted", "%d, of them seen settled by their shopper %d", len(s.customers.bought), s.customers.settled.Load())
	for _, status := range []string{"confirmed", "failed", "cancelled", "rejected"} {
		line("  "+status, "%d", sum.Outcomes[status])
	}
	line("requests sent again", "%d; %d answers were given a second time", s.customers.again.Load(), s.customers.known.Load())
	for _, name := range messages.Services() {
		line("SIGKILL "+name, "%d", s.services[name].kills)
	}
	if s.broker == nil {
		line("SIGKILL broker", "NOT DONE: %s", s.noBroker)
	} else {
		line("SIGKILL broker", "%d", c.broken)
	}
	most := progress.Open{}
	for _, b := range c.blows {
		most = progress.Open{Orders: max(most.Orders, b.Orders), Outbox: max(most.Outbox, b.Outbox), Unsent: max(most.Unsent, b.Unsent)}
	}
	line("open when it was killed", "at most %d orders, %d messages in the outbox, %d emails", most.Orders, most.Outbox, most.Unsent)
	line("charges", "%d, %d refunded, %d declined; %d asked for again under their key", sum.Charges, sum.Refunds, sum.Declined, sum.ChargesAskedAgain)
	line("money kept", "%s USD; the confirmed orders come to %s USD", purchase.Price(sum.ChargedMinor-sum.RefundedMinor), purchase.Price(sum.ConfirmedMinor))
	line("pieces sold", "%d; %d ordered and confirmed", sum.Sold, sum.ConfirmedPieces)
	line("messages in Kafka", "%d, of them written again with the same id %d", sum.Messages, sum.MessagesAgain)
	line("notifications sent", "%d; %d about a confirmation gave way to the cancelling", sum.NotificationsSent, sum.Superseded)
	line("emails", "%d, of them repeats with the same Message-ID %d", sum.Emails, sum.Repeats)
	for _, l := range left {
		line(l.What, "%d", l.Count)
	}
	line("duration", "%.0f s of load, %.0f s until settled, %.0f s in all; at most %.1f s until orders went through again",
		loaded.Seconds(), settled.Seconds(), whole.Seconds(), c.slow.Seconds())
	return out.String()
}
