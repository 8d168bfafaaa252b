package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pasdetrois/bench/limits"
	"pasdetrois/bench/parts"
	"pasdetrois/bench/process"
	"pasdetrois/bench/results"
	"pasdetrois/bench/site"
	"pasdetrois/bench/stats"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
)

// relayed measures the relay alone, with n messages.
func (c *campaign) relayed(name string, measure func(r parts.Relay, ctx context.Context, n int) (float64, error)) func(context.Context, int) error {
	return func(ctx context.Context, round int) error {
		return c.on(ctx, site.Partitions(), func(p *site.Plot) error {
			if err := migrations.Up(ctx, p.AdminURL); err != nil {
				return err
			}
			r := parts.Relay{Brokers: c.bench.Site.Brokers, Prefix: p.Prefix, OrdersDB: pgdb.As(p.AdminURL, "orders")}
			v, err := measure(r, ctx, c.relayedMessages())
			if err == nil {
				c.figure(name, round, v)
			}
			return err
		})
	}
}

func (c *campaign) relayedMessages() int {
	if c.cfg.form == full {
		return 20_000
	}
	return 5_000
}

// forwarded measures the stock forwarder in the same way.
func (c *campaign) forwarded(ctx context.Context, round int) error {
	return c.on(ctx, site.Partitions(), func(p *site.Plot) error {
		v, err := c.stockPart(ctx, p, "forward", c.relayedMessages()/5)
		if err == nil {
			c.figure(results.Forwarder, round, v)
		}
		return err
	})
}

// acknowledged measures how long the relay takes when it has half of what the product carries.
func (c *campaign) acknowledged(r parts.Relay, ctx context.Context, _ int) (float64, error) {
	saturated, ok := results.Median(c.found.Of(results.Pas, results.Settled))
	if !ok {
		return 0, errors.New("saturation was not measured, so half of it is unknown")
	}
	l, err := r.Latency(ctx, max(200, int(saturated/2*c.cfg.seconds)), saturated/2)
	return l.P99, err
}

// stockPart runs a part of watermill alone and returns how many messages a second it did.
func (c *campaign) stockPart(ctx context.Context, p *site.Plot, part string, n int) (float64, error) {
	if err := c.unbuilt[stock]; err != nil {
		return 0, err
	}
	out, err := process.Run(ctx, "", []string{
		"KAFKA_BROKERS=" + strings.Join(c.bench.Site.Brokers, ","), "KAFKA_TOPIC=" + p.Prefix + messages.TopicOrders, "KAFKA_GROUP=" + p.Prefix + stock,
		"DATABASE_ADMIN_URL=" + p.AdminURL, "N=" + strconv.Itoa(n), "WORK=" + handlerTime.String(),
	}, filepath.Join(c.bench.Bin, "peer-"+stock), part)
	if err != nil {
		return 0, err
	}
	var told struct{ Messages, Seconds float64 }
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		return 0, fmt.Errorf("stock %s: %w: %s", part, err, out)
	}
	rate, ok := stats.Ratio(told.Messages, told.Seconds)
	if !ok {
		return 0, fmt.Errorf("stock %s took no time: %s", part, out)
	}
	return rate, nil
}

// handlerTime is what a handler of the one partition takes for each call.
const handlerTime = time.Millisecond

func (c *campaign) onePartition(ctx context.Context, round int) error {
	ours, theirs := 20_000, 1_000
	if c.cfg.form == full {
		ours, theirs = 100_000, 3_000
	}
	return c.on(ctx, partitions(1, 3), func(p *site.Plot) error {
		if err := parts.Fill(ctx, c.bench.Site.Brokers, p.Prefix+messages.TopicOrders, ours); err != nil {
			return err
		}
		v, err := c.stockPart(ctx, p, "consume", theirs)
		if err != nil {
			return err
		}
		c.figure(results.StockConsumer, round, v)
		if v, err = parts.Consume(ctx, c.bench.Site.Brokers, p.Prefix, ours, handlerTime); err != nil {
			return err
		}
		c.figure(results.Lanes, round, v)
		return nil
	})
}

func (c *campaign) kafkaTools(ctx context.Context, round int) error {
	tools := limits.Tools{Script: c.cfg.kafkaLocal, Brokers: c.bench.Site.Brokers}
	records, one := 100_000, 500
	if c.cfg.form == full {
		records, one = 500_000, 2_000
	}
	return c.on(ctx, site.Partitions(), func(p *site.Plot) error {
		v, err := tools.Producer(ctx, p.Prefix+messages.TopicOrders, records)
		if err != nil {
			return err
		}
		c.figure(results.KafkaProducer, round, v)
		p50, p99, err := tools.Latency(ctx, p.Prefix+messages.TopicPayments, one)
		if err != nil {
			return err
		}
		c.figure(results.KafkaLatency50, round, p50)
		c.figure(results.KafkaLatency99, round, p99)
		return nil
	})
}
