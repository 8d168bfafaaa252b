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

	"pasdetrois/bench/arm"
	"pasdetrois/bench/parts"
	"pasdetrois/bench/process"
	"pasdetrois/bench/report"
	"pasdetrois/pkg/messages"
)

// stock is the peer that runs single parts of watermill.
const stock = "stock"

// handlerTime is the duration of each handler call in the test of one partition: about a transaction with a
// commit to disk.
const handlerTime = time.Millisecond

// relayed is a step that measures the product's relay without its services.
func (c *campaign) relayed(name string, measure func(r parts.Relay, ctx context.Context, n int) (float64, error)) func(context.Context, int) error {
	return func(ctx context.Context, round int) error {
		return c.in(ctx, func(box *arm.Sandbox) error {
			if err := box.Migrate(ctx); err != nil {
				return err
			}
			r := parts.Relay{Brokers: c.bench.Servers.Brokers, Prefix: box.Prefix, OrdersDB: box.As("orders")}
			v, err := measure(r, ctx, forForm(c, 5_000, 20_000))
			if err == nil {
				c.figure(name, round, v)
			}
			return err
		})
	}
}

// forwarded measures watermill's forwarder in the same way, with fewer messages, since it is slower.
func (c *campaign) forwarded(ctx context.Context, round int) error {
	return c.in(ctx, func(box *arm.Sandbox) error {
		v, err := c.stockPart(ctx, box, "forward", forForm(c, 1_000, 4_000))
		if err == nil {
			c.figure(report.Forwarder, round, v)
		}
		return err
	})
}

// acknowledged measures the relay's delay at half of the product's saturation: the 99th percentile in
// milliseconds.
func (c *campaign) acknowledged(r parts.Relay, ctx context.Context, _ int) (float64, error) {
	half, err := c.halfLoad()
	if err != nil {
		return 0, err
	}
	l, err := r.Latency(ctx, max(200, int(half*c.cfg.seconds)), half)
	return l.P99, err
}

// halfLoad returns half of the product's saturation in orders per second. It fails before the first closed loop
// of this run.
func (c *campaign) halfLoad() (float64, error) {
	saturated, ok := report.Median(c.found.Of(report.Pas, report.Settled))
	if !ok {
		return 0, errors.New("saturation was not measured, so half of it is unknown")
	}
	return saturated / 2, nil
}

// stockPart runs one part of watermill in a process of its own, and returns the messages that it finished per
// second. The process measures the time itself, from its first to its last message, so that its start does not
// count.
func (c *campaign) stockPart(ctx context.Context, box *arm.Sandbox, part string, n int) (float64, error) {
	if err := c.unbuilt[stock]; err != nil {
		return 0, err
	}
	out, err := process.Run(ctx, "", []string{
		"KAFKA_BROKERS=" + strings.Join(c.bench.Servers.Brokers, ","), "KAFKA_TOPIC=" + box.Prefix + messages.TopicOrders, "KAFKA_GROUP=" + box.Prefix + stock,
		"DATABASE_ADMIN_URL=" + box.AdminURL(), "N=" + strconv.Itoa(n), "WORK=" + handlerTime.String(),
	}, filepath.Join(c.bench.Bin, "peer-"+stock), part)
	if err != nil {
		return 0, err
	}
	var took struct{ Messages, Seconds float64 }
	if err := json.Unmarshal([]byte(out), &took); err != nil {
		return 0, fmt.Errorf("stock %s: %w: %s", part, err, out)
	}
	rate, ok := report.Ratio(took.Messages, took.Seconds)
	if !ok {
		return 0, fmt.Errorf("stock %s took no time: %s", part, out)
	}
	return rate, nil
}

// onePartition measures the stock consumer and the product's lanes on one partition with the same waiting
// messages. A partition has one consumer, so only the lanes can use more than one call at a time.
func (c *campaign) onePartition(ctx context.Context, round int) error {
	ours, theirs := forForm(c, 20_000, 100_000), forForm(c, 1_000, 3_000)
	return c.bench.Servers.In(ctx, partitions(1, 3), func(box *arm.Sandbox) error {
		if err := parts.Fill(ctx, c.bench.Servers.Brokers, box.Prefix+messages.TopicOrders, ours, parts.Plain); err != nil {
			return err
		}
		v, err := c.stockPart(ctx, box, "consume", theirs)
		if err != nil {
			return err
		}
		c.figure(report.StockConsumer, round, v)
		if v, err = parts.Consume(ctx, c.bench.Servers.Brokers, box.Prefix, ours, handlerTime); err == nil {
			c.figure(report.Lanes, round, v)
		}
		return err
	})
}

// kafkaTools measures with Kafka's own programs, as a check of the figures that this program measures itself.
func (c *campaign) kafkaTools(ctx context.Context, round int) error {
	tools := parts.Tools{Script: c.cfg.kafkaLocal, Brokers: c.bench.Servers.Brokers}
	return c.in(ctx, func(box *arm.Sandbox) error {
		v, err := tools.Producer(ctx, box.Prefix+messages.TopicOrders, forForm(c, 100_000, 500_000))
		if err != nil {
			return err
		}
		c.figure(report.KafkaProducer, round, v)
		p50, p99, err := tools.Latency(ctx, box.Prefix+messages.TopicPayments, forForm(c, 500, 2_000))
		if err == nil {
			c.figure(report.KafkaLatency50, round, p50)
			c.figure(report.KafkaLatency99, round, p99)
		}
		return err
	})
}
