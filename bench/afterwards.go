package main

import (
	"context"
	"time"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/parts"
	"pasdetrois/bench/process"
	"pasdetrois/bench/results"
	"pasdetrois/bench/trial"
	"pasdetrois/pkg/messages"
)

// afterwards are the long steps, done once.
func (c *campaign) afterwards() []step {
	return []step{
		{name: "soak", part: soak, do: c.soaked},
		{name: "backlog", part: backlog, do: c.drain},
	}
}

// drain lets many orders wait in the topic before the services start.
func (c *campaign) drain(ctx context.Context, round int) error {
	n := c.cfg.backlog
	waiting := arm.Arm{Name: "backlog", Start: func(ctx context.Context, e arm.Env) (arm.Running, error) {
		if err := parts.FillOrders(ctx, e.Brokers, e.Plot.Prefix+messages.TopicOrders, n, arm.Uniform); err != nil {
			return nil, err
		}
		c.say("%d orders wait", n)
		return arm.StartPas(ctx, e, arm.Services()...)
	}}
	return c.bench.With(ctx, waiting, trial.Options{}, func(r arm.Running) error {
		began := time.Now()
		if err := arm.AwaitEmails(ctx, r, n, time.Second, time.Minute); err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		largest := 0.0
		for _, p := range r.Processes() {
			largest = max(largest, float64(process.UsageOf(p.PID()).Peak)/(1<<20))
		}
		if err := r.Audit(ctx, n); err != nil {
			return err
		}
		c.figure(results.BacklogOrders, round, float64(n))
		c.figure(results.BacklogRate, round, float64(n)/took)
		c.figure(results.BacklogPeak, round, largest)
		return nil
	})
}
