package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/limits"
	"pasdetrois/bench/parts"
	"pasdetrois/bench/results"
	"pasdetrois/bench/site"
	"pasdetrois/bench/trial"
	"pasdetrois/pkg/messages"
)

// stock is the peer that runs stock parts of watermill alone.
const stock = "stock"

// inRounds are the steps of every round, in an order that puts what is compared side by side.
func (c *campaign) inRounds() []step {
	steps := []step{
		c.closedLoop(results.Pas, arm.Pas(), trial.Options{}),
		c.limit(results.PgbenchSingle, c.lifecycles(limits.SingleStatement)),
		c.limit(results.PgbenchMany, c.lifecycles(limits.ManyStatements)),
		c.closedLoop(results.Idiomatic, arm.Idiomatic(), trial.Options{}),
		c.closedLoop(results.Python, arm.Python(), trial.Options{}),
		{name: "ingest", part: ingest, do: c.ingest},
		{name: results.OneProduct, part: hot, once: true, do: c.saturate(results.OneProduct, arm.Pas(), trial.Options{SKU: arm.OneProduct})},
		{name: results.Oversold, part: hot, once: true, do: c.scarce},
		{name: results.Replicas, part: replicas, once: c.cfg.form == quick, do: c.saturate(results.Replicas, arm.Pas(), trial.Options{Replicas: 2})},
		c.scaled(results.OnePartition, trial.Options{Partitions: partitions(1, 1)}),
		c.scaled(results.ManyPartitions, trial.Options{Partitions: partitions(24, 12)}),
		c.scaled(results.ThreeReplicas, trial.Options{Replicas: 3}),
		{name: results.RelayMemory, part: relay, once: true, do: c.relayed(results.RelayMemory, parts.Relay.Relay)},
		{name: results.Forwarder, part: relay, once: true, do: c.forwarded},
		{name: results.RelayRecovery, part: relay, once: true, do: c.relayed(results.RelayRecovery, parts.Relay.Recover)},
		{name: results.RelayAck99, part: relay, once: c.cfg.form == quick, do: c.relayed(results.RelayAck99, c.acknowledged)},
		{name: results.Lanes, part: lanes, once: true, do: c.onePartition},
		{name: "floors", part: latency, once: true, do: c.floors},
		{name: "latency", part: latency, once: true, do: c.latency},
		{name: "latency of the peers", part: latency, once: true, do: c.peerLatency},
		{name: "Kafka's own tools", part: limitsPart, once: true, do: c.kafkaTools},
	}
	return slices.DeleteFunc(steps, func(s step) bool {
		peer := s.name == results.Idiomatic || s.name == results.Python || s.name == results.Pas
		return peer && !slices.Contains(c.cfg.arms, s.name)
	})
}

func (c *campaign) closedLoop(name string, a arm.Arm, o trial.Options) step {
	return step{name: name, part: saturation, do: c.saturate(name, a, o)}
}

// scaled is the product as something about it grows.
func (c *campaign) scaled(name string, o trial.Options) step {
	return step{name: name, part: scaling, once: true, do: c.saturate(name, arm.Pas(), o)}
}

// partitions returns the topics with so many partitions: orders, and each of the others.
func partitions(orders, others int32) map[string]int32 {
	p := site.Partitions()
	for topic := range p {
		p[topic] = others
	}
	p[messages.TopicOrders] = orders
	return p
}

func (c *campaign) saturate(name string, a arm.Arm, o trial.Options) func(context.Context, int) error {
	o.Clients, o.Seconds, o.MinOrders = c.cfg.clients, c.cfg.seconds, 200
	return func(ctx context.Context, round int) error {
		if err := c.unbuilt[a.Name]; err != nil {
			return err
		}
		s, err := c.bench.Saturate(ctx, a, o)
		if err != nil {
			return err
		}
		c.found.Rounds = append(c.found.Rounds, results.Round{Round: round, Arm: name, Saturation: s})
		c.say("round %d, %s: %.0f orders/s settled (%d in %.1f s), %.0f us of CPU each", round, name, s.Settled, s.Orders, s.Seconds, s.Whole())
		return nil
	}
}

// limit is a step that measures one figure.
func (c *campaign) limit(name string, measure func(context.Context) (float64, error)) step {
	return step{name: name, part: limitsPart, do: func(ctx context.Context, round int) error {
		v, err := measure(ctx)
		if err == nil {
			c.figure(name, round, v)
		}
		return err
	}}
}

func (c *campaign) figure(name string, round int, v float64) {
	c.found.Add(name, round, v)
	c.say("round %d, %s: %.4g", round, name, v)
}

// on makes a database and topics for a measurement and takes them away after it.
func (c *campaign) on(ctx context.Context, partitions map[string]int32, do func(*site.Plot) error) error {
	p, err := c.bench.Site.Plot(ctx, partitions)
	if err != nil {
		return err
	}
	return errors.Join(do(p), p.Clear())
}

func (c *campaign) lifecycles(script string) func(context.Context) (float64, error) {
	return func(ctx context.Context) (v float64, err error) {
		err = c.on(ctx, nil, func(p *site.Plot) error {
			if err := arm.Stock(ctx, p.AdminURL); err != nil {
				return err
			}
			// Once to warm up and count the rows, then for the figure.
			if _, err := limits.Lifecycles(ctx, p.AdminURL, script, 1); err != nil {
				return err
			}
			if err := arm.Analyze(ctx, p.AdminURL); err != nil {
				return err
			}
			v, err = limits.Lifecycles(ctx, p.AdminURL, script, max(2, int(c.cfg.seconds)))
			return err
		})
		return v, err
	}
}

// ingest measures the first step alone, beside what it could be at most and what it would be without coalescing.
func (c *campaign) ingest(ctx context.Context, round int) error {
	o := trial.Options{Clients: c.cfg.clients, Seconds: c.cfg.seconds, MinOrders: 200}
	for _, t := range []struct {
		name  string
		start func(context.Context, arm.Env) (*arm.Taker, error)
	}{{results.NoOp, arm.NoOp}, {results.Ingest, arm.OrdersAlone}, {results.Transaction, arm.Transaction}} {
		v, err := c.bench.Take(ctx, t.name, t.start, o)
		if err != nil {
			return err
		}
		c.figure(t.name, round, v)
	}
	return nil
}

// scarce sells a product of which there are too few pieces.
func (c *campaign) scarce(ctx context.Context, round int) error {
	const pieces, orders = 100, 300
	return c.bench.With(ctx, arm.Pas(), trial.Options{}, func(r arm.Running) error {
		pas := r.(*arm.RunningPas)
		if err := pas.Scarce(ctx, pieces); err != nil {
			return err
		}
		o := trial.Options{Clients: c.cfg.clients, SKU: arm.ScarceProduct}
		if _, err := c.bench.Loop(ctx, r, o, 0, orders); err != nil {
			return err
		}
		if err := pas.AuditWith(ctx, orders, orders-pieces); err != nil {
			return err
		}
		c.figure(results.Oversold, round, 0) // else the audit had failed
		return nil
	})
}

// floors measures what the way of an order is made of.
func (c *campaign) floors(ctx context.Context, round int) error {
	times := 300
	if c.cfg.form == full {
		times = 1000
	}
	return c.on(ctx, site.Partitions(), func(p *site.Plot) error {
		hop, err := limits.Hop(ctx, c.bench.Site.Brokers, p.Prefix+messages.TopicOrders, times)
		if err != nil {
			return err
		}
		c.figure(results.Hop, round, hop.P50)
		commit, err := limits.Commit(ctx, p.AdminURL, times)
		if err != nil {
			return err
		}
		c.figure(results.Commit, round, commit.P50)
		lone, err := limits.Coalescing(ctx, 20_000)
		if err != nil {
			return err
		}
		c.figure(results.Coalescing, round, float64(lone)/float64(time.Microsecond))
		return nil
	})
}

// latency loads the product openly at shares of its saturation.
func (c *campaign) latency(ctx context.Context, round int) error {
	shares, seconds := []float64{0.01, 0.5}, 5.0
	if c.cfg.form == full {
		shares, seconds = []float64{0.01, 0.1, 0.25, 0.5, 0.75, 0.9}, 15.0
	}
	return c.openLoops(ctx, arm.Pas(), round, shares, seconds)
}

// peerLatency loads the peers openly at half of their own saturation.
func (c *campaign) peerLatency(ctx context.Context, round int) error {
	var errs []error
	for _, a := range []arm.Arm{arm.Idiomatic(), arm.Python()} {
		if c.cfg.form == full && slices.Contains(c.cfg.arms, a.Name) {
			errs = append(errs, c.openLoops(ctx, a, round, []float64{0.5}, 15))
		}
	}
	return errors.Join(errs...)
}

// openLoops loads an arm openly, at one share of its saturation after the other.
func (c *campaign) openLoops(ctx context.Context, a arm.Arm, round int, shares []float64, seconds float64) error {
	saturated, ok := results.Median(c.found.Of(a.Name, results.Settled))
	if !ok {
		return fmt.Errorf("the saturation of %s was not measured, so its shares are unknown", a.Name)
	}
	o := trial.Options{Clients: c.cfg.clients}
	return c.bench.With(ctx, a, o, func(r arm.Running) error {
		placed, _, err := c.bench.Warm(ctx, r, o)
		if err != nil {
			return err
		}
		var all []results.Loaded
		for _, share := range shares {
			rate := max(1, share*saturated)
			// A low rate gets more time, for its percentiles to mean something.
			n := max(20, int(rate*seconds), min(200, int(3*rate*seconds)))
			got, err := c.bench.OpenLoop(ctx, r, o, placed, n, rate)
			if err != nil {
				return err
			}
			placed += n
			all = append(all, results.Loaded{Arm: a.Name, Round: round, Share: share, Rate: rate, Emails: got.Emails, Answers: got.Answers,
				Batches: got.Batches, Steps: got.Steps, Refused: got.Refused, Cost: got.Cost, Load: got.Load})
			c.say("round %d, %s, open loop at %.0f %% (%.0f orders/s): email p50 %.1f ms, p99 %.1f ms", round, a.Name, 100*share, rate, got.Emails.P50, got.Emails.P99)
		}
		if err := r.Audit(ctx, placed); err != nil {
			return err
		}
		c.found.Latency = append(c.found.Latency, all...)
		return nil
	})
}
