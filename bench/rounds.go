package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/parts"
	"pasdetrois/bench/process"
	"pasdetrois/bench/report"
	"pasdetrois/pkg/messages"
)

// inRounds returns the steps of a round in their order. Figures that a goal compares are measured in the same
// round, and close to each other: a slow minute of the machine then affects both sides of the ratio.
func (c *campaign) inRounds(round int) []step {
	pas := func(name, part string, once bool, o arm.Options) step {
		return c.closedLoop(name, part, once, arm.Pas(), o)
	}
	if c.cfg.against != "" {
		// Two revisions are compared by two steps each, side by side.
		both := []step{pas(report.Pas, saturation, false, arm.Options{}), c.closedLoop(c.revision.Name, saturation, false, c.revision, arm.Options{}),
			c.fixedRates(arm.Pas()), c.fixedRates(c.revision)}
		if round%2 == 0 { // the other revision first, so that neither gains from its place
			both[0], both[1], both[2], both[3] = both[1], both[0], both[3], both[2]
		}
		return both
	}
	inQuick := c.cfg.form == quick
	steps := []step{
		pas(report.Pas, saturation, false, arm.Options{}),
		pas(report.SignedEvents, signed, false, arm.Options{Signed: true}),
		{name: report.PgbenchSingle, part: limits, do: c.lifecycles(report.PgbenchSingle, parts.SingleStatement)},
		{name: report.PgbenchMany, part: limits, do: c.lifecycles(report.PgbenchMany, parts.ManyStatements)},
		c.closedLoop(report.Idiomatic, saturation, false, arm.Peer(report.Idiomatic), arm.Options{}),
		c.closedLoop(report.Python, saturation, false, arm.Peer(report.Python), arm.Options{}),
		{name: "ingest", part: ingest, do: c.ingest},
		pas(report.OneProduct, hot, true, arm.Options{SKU: arm.OneProduct}),
		{name: report.Oversold, part: hot, once: true, do: c.scarce},
		pas(report.Replicas, replicas, inQuick, arm.Options{Replicas: 2}),
		pas(report.OnePartition, scaling, true, arm.Options{Partitions: partitions(1, 1)}),
		pas(report.ManyPartitions, scaling, true, arm.Options{Partitions: partitions(24, 12)}),
		pas(report.ThreeReplicas, scaling, true, arm.Options{Replicas: 3}),
		{name: report.RelayMemory, part: relay, once: true, do: c.relayed(report.RelayMemory, parts.Relay.Relay)},
		{name: report.Forwarder, part: relay, once: true, do: c.forwarded},
		{name: report.RelayRecovery, part: relay, once: true, do: c.relayed(report.RelayRecovery, parts.Relay.Recover)},
		{name: report.RelayAck99, part: relay, once: inQuick, do: c.relayed(report.RelayAck99, c.acknowledged)},
		{name: report.Lanes, part: lanes, once: true, do: c.onePartition},
		{name: "floors", part: latency, once: true, do: c.floors},
		{name: "latency", part: latency, once: true, do: c.latency},
		{name: "latency of the peers", part: latency, once: true, do: c.peerLatency},
		{name: "Kafka's own tools", part: limits, once: true, do: c.kafkaTools},
	}
	// A step with the name of an arm runs only when -arms has that arm; all other steps belong to the product
	// or to the limits.
	return slices.DeleteFunc(steps, func(s step) bool { return slices.Contains(allArms(), s.name) && !slices.Contains(c.cfg.arms, s.name) })
}

// afterwards returns the long steps, which run once and after all rounds, so that they delay no comparison.
func (c *campaign) afterwards() []step {
	return []step{
		{name: "soak", part: soak, do: c.soaked},
		{name: "backlog", part: backlog, do: c.drain},
	}
}

// forForm returns the first value in the quick form, and the second one in the full form.
func forForm[T any](c *campaign, inQuick, inFull T) T {
	if c.cfg.form == full {
		return inFull
	}
	return inQuick
}

// partitions returns the contract's topics with other numbers of partitions: one for orders, and one for each
// of the others.
func partitions(orders, others int32) map[string]int32 {
	p := arm.Partitions()
	for topic := range p {
		p[topic] = others
	}
	p[messages.TopicOrders] = orders
	return p
}

// closedLoop is a step that saturates an arm: its clients always have an order on the way. At least 200 orders
// are placed, since fewer give no stable rate.
func (c *campaign) closedLoop(name, part string, once bool, a arm.Arm, o arm.Options) step {
	o.Clients, o.Seconds, o.MinOrders = c.cfg.clients, c.cfg.seconds, 200
	return step{name: name, part: part, once: once, do: func(ctx context.Context, round int) error {
		if err := c.unbuilt[a.Name]; err != nil {
			return err
		}
		s, err := c.bench.Saturate(ctx, a, o)
		if err != nil {
			return err
		}
		c.found.Rounds = append(c.found.Rounds, report.Round{Round: round, Arm: name, Saturation: s})
		c.say("round %d, %s: %.0f orders/s settled (%d in %.1f s), %.0f us of CPU each", round, name, s.Settled, s.Orders, s.Seconds, s.Whole())
		return nil
	}}
}

// figure adds a figure to the results and shows it.
func (c *campaign) figure(name string, round int, v float64) {
	c.found.Add(name, round, v)
	c.say("round %d, %s: %.4g", round, name, v)
}

// in calls do with a new sandbox that has the contract's topics.
func (c *campaign) in(ctx context.Context, do func(*arm.Sandbox) error) error {
	return c.bench.Servers.In(ctx, arm.Partitions(), do)
}

// lifecycles measures with pgbench how many orders per second the database alone could process, by the SQL of
// one script. It is a limit: no service can be faster with the same statements.
func (c *campaign) lifecycles(name, script string) func(context.Context, int) error {
	return func(ctx context.Context, round int) error {
		return c.bench.Servers.In(ctx, nil, func(box *arm.Sandbox) error {
			if err := box.Migrate(ctx); err != nil {
				return err
			}
			// The first run fills the tables, for statistics that describe filled ones.
			if _, err := parts.Lifecycles(ctx, box.AdminURL(), script, 1); err != nil {
				return err
			}
			if err := box.Analyze(ctx); err != nil {
				return err
			}
			v, err := parts.Lifecycles(ctx, box.AdminURL(), script, max(2, int(c.cfg.seconds)))
			if err == nil {
				c.figure(name, round, v)
			}
			return err
		})
	}
}

// ingest measures the first step of an order alone: accept, store, answer 202. It does so for three programs: a
// handler that stores nothing (the limit), the product, and a handler with a transaction per request (no
// coalescing).
func (c *campaign) ingest(ctx context.Context, round int) error {
	o := arm.Options{Clients: c.cfg.clients, Seconds: c.cfg.seconds, MinOrders: 200}
	for _, a := range []arm.Arm{arm.NoOp(), arm.OrdersAlone(), arm.Transaction()} {
		v, err := c.bench.Take(ctx, a, o)
		if err != nil {
			return err
		}
		c.figure(map[string]string{"noop": report.NoOp, "orders alone": report.Ingest, "transaction": report.Transaction}[a.Name], round, v)
	}
	return nil
}

// scarce sells a product that has too few pieces. The audit expects exactly the surplus orders to be rejected.
// So the figure is always 0: after a failed audit there is no figure.
func (c *campaign) scarce(ctx context.Context, round int) error {
	const pieces, orders = 100, 300
	o := arm.Options{Clients: c.cfg.clients, SKU: arm.ScarceProduct}
	return c.bench.With(ctx, arm.Pas(), o, func(r *arm.Running) error {
		if err := r.Scarce(ctx, pieces); err != nil {
			return err
		}
		if _, err := c.bench.Loop(ctx, r, o, 0, orders); err != nil {
			return err
		}
		if err := r.Audit(ctx, orders, orders-pieces); err != nil {
			return err
		}
		c.figure(report.Oversold, round, 0) // or the audit had failed
		return nil
	})
}

// floors measures the unavoidable parts of an order's way on idle servers: one hop over Kafka, one commit, one
// lone call of the coalescer. The latency goal compares the whole way with its hops and commits.
func (c *campaign) floors(ctx context.Context, round int) error {
	times := forForm(c, 300, 1000)
	return c.in(ctx, func(box *arm.Sandbox) error {
		hop, err := parts.Hop(ctx, c.bench.Servers.Brokers, box.Prefix+messages.TopicOrders, times)
		if err != nil {
			return err
		}
		c.figure(report.Hop, round, hop.P50)
		commit, err := parts.Commit(ctx, box.AdminURL(), times)
		if err != nil {
			return err
		}
		c.figure(report.Commit, round, commit.P50)
		lone, err := parts.Coalescing(ctx, 20_000)
		if err == nil {
			c.figure(report.Coalescing, round, float64(lone)/float64(time.Microsecond))
		}
		return err
	})
}

// latency places orders at shares of the product's saturation, as an open loop.
func (c *campaign) latency(ctx context.Context, round int) error {
	return c.openLoops(ctx, arm.Pas(), round, forForm(c, []float64{0.01, 0.5}, []float64{0.01, 0.1, 0.25, 0.5, 0.75, 0.9}), forForm(c, 5.0, 15))
}

// peerLatency places orders at half of each peer's own saturation, in the full form only.
func (c *campaign) peerLatency(ctx context.Context, round int) error {
	var errs []error
	for _, name := range []string{report.Idiomatic, report.Python} {
		if c.cfg.form == full && slices.Contains(c.cfg.arms, name) {
			errs = append(errs, c.openLoops(ctx, arm.Peer(name), round, []float64{0.5}, 15))
		}
	}
	return errors.Join(errs...)
}

// openLoops loads an arm in open loops, at one share of its saturation after the other. It needs the saturation
// of an earlier step of this run.
func (c *campaign) openLoops(ctx context.Context, a arm.Arm, round int, shares []float64, seconds float64) error {
	saturated, ok := report.Median(c.found.Of(a.Name, report.Settled))
	if !ok {
		return fmt.Errorf("the saturation of %s was not measured, so its shares are unknown", a.Name)
	}
	var loops []report.Loaded
	for _, share := range shares {
		loops = append(loops, report.Loaded{Arm: a.Name, Round: round, Share: share, Rate: max(1, share*saturated)})
	}
	err := c.loadOpenly(ctx, a, loops, seconds)
	if err == nil {
		c.found.Latency = append(c.found.Latency, loops...)
	}
	return err
}

// fixedRates is a step that loads an arm in open loops at the rates that compare two revisions. Both get the
// same rates, since shares of their own saturation would give the faster one more work.
func (c *campaign) fixedRates(a arm.Arm) step {
	return step{name: a.Name + " at fixed rates", part: rates, do: func(ctx context.Context, round int) error {
		var loops []report.Loaded
		for _, rate := range report.FixedRates() {
			loops = append(loops, report.Loaded{Arm: a.Name, Round: round, Rate: rate})
		}
		err := c.loadOpenly(ctx, a, loops, 4*c.cfg.seconds)
		if err == nil {
			c.found.Rates = append(c.found.Rates, loops...)
		}
		return err
	}}
}

// loadOpenly runs open loops on one running arm, one after the other, and fills in their results. They count
// only when the final audit holds.
func (c *campaign) loadOpenly(ctx context.Context, a arm.Arm, loops []report.Loaded, seconds float64) error {
	o := arm.Options{Clients: c.cfg.clients}
	return c.bench.With(ctx, a, o, func(r *arm.Running) error {
		placed, _, err := c.bench.Warm(ctx, r, o)
		if err != nil {
			return err
		}
		for i := range loops {
			l := &loops[i]
			// A low rate gets more time, so that its percentiles rest on enough orders.
			n := max(20, int(l.Rate*seconds), min(200, int(3*l.Rate*seconds)))
			if l.Timed, err = c.bench.OpenLoop(ctx, r, o, placed, n, l.Rate); err != nil {
				return err
			}
			placed += n
			c.say("round %d, %s, open loop at %.0f orders/s: email p50 %.1f ms, p99 %.1f ms, %.0f us of CPU each",
				l.Round, a.Name, l.Rate, l.Emails.P50, l.Emails.P99, l.Whole())
		}
		return r.Audit(ctx, placed, 0)
	})
}

// drain measures how fast the product processes orders that wait in the topic before the services start. It
// also measures the memory of the largest service, which shows whether the queues are bounded.
func (c *campaign) drain(ctx context.Context, round int) error {
	n := c.cfg.backlog
	// The backlog is written before the services start: an arm of its own, whose start includes the filling.
	waiting := arm.Arm{Name: "backlog", Start: func(ctx context.Context, e arm.Env) (*arm.Running, error) {
		item := func(i int) string { return fmt.Sprintf(`"items":[{"sku":%q,"quantity":1}]`, arm.Uniform(i)) }
		if err := parts.Fill(ctx, e.Brokers, e.Prefix+messages.TopicOrders, n, item); err != nil {
			return nil, err
		}
		c.say("%d orders wait", n)
		return arm.Pas().Start(ctx, e)
	}}
	return c.bench.With(ctx, waiting, arm.Options{}, func(r *arm.Running) error {
		began := time.Now()
		if err := r.AwaitEmails(ctx, n, time.Second, time.Minute); err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		largest := 0.0
		for _, p := range r.Processes {
			largest = max(largest, float64(process.UsageOf(p.PID()).Peak)/(1<<20))
		}
		if err := r.Audit(ctx, n, 0); err != nil {
			return err
		}
		c.figure(report.BacklogOrders, round, float64(n))
		c.figure(report.BacklogRate, round, float64(n)/took)
		c.figure(report.BacklogPeak, round, largest)
		return nil
	})
}
