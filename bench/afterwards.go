package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/parts"
	"pasdetrois/bench/process"
	"pasdetrois/bench/results"
	"pasdetrois/bench/stats"
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

// soakLoops is how many loops one rate of the soak is the median of.
const soakLoops = 3

// soaked loads the services with half of what they carry for a long time, while a transaction that somebody forgot keeps
// the database from cleaning up, and looks at their memory meanwhile.
func (c *campaign) soaked(ctx context.Context, _ int) error {
	saturated, ok := results.Median(c.found.Of(results.Pas, results.Settled))
	if !ok {
		return errors.New("saturation was not measured, so half of it is unknown")
	}
	o := trial.Options{Clients: c.cfg.clients, Seconds: c.cfg.seconds, MinOrders: 200}
	return c.bench.With(ctx, arm.Pas(), o, func(r arm.Running) error {
		pas := r.(*arm.RunningPas)
		placed, _, err := c.bench.Warm(ctx, r, o)
		if err != nil {
			return err
		}
		// The same loops before, beside and after the open transaction: one loop may meet a slow moment of the machine.
		size := max(200, int(saturated*c.cfg.seconds))
		saturate := func() (float64, error) {
			var rates []float64
			for range soakLoops {
				s, err := c.bench.Loop(ctx, r, o, placed, size)
				if err != nil {
					return 0, err
				}
				placed += size
				rates = append(rates, s.Settled)
			}
			return stats.Summarize(rates).Median, nil
		}
		before, err := saturate()
		if err != nil {
			return err
		}
		forgotten, err := openTransaction(ctx, pas.Database())
		if err != nil {
			return err
		}
		defer func() { _ = forgotten.Close(context.WithoutCancel(ctx)) }()
		n := max(1, int(saturated/2*c.cfg.soak.Seconds()))
		if err := c.watched(ctx, pas, func() error {
			_, err := c.bench.OpenLoop(ctx, r, o, placed, n, saturated/2)
			placed += n
			return err
		}); err != nil {
			return err
		}
		beside, err := saturate()
		if err != nil {
			return err
		}
		if err := forgotten.Close(ctx); err != nil {
			return fmt.Errorf("end the forgotten transaction: %w", err)
		}
		if err := pas.Clean(ctx); err != nil {
			return err
		}
		after, err := saturate()
		if err != nil {
			return err
		}
		if err := r.Audit(ctx, placed); err != nil {
			return err
		}
		c.say("saturation before, beside and after a transaction open for %s: %.0f, %.0f, %.0f orders/s", c.cfg.soak, before, beside, after)
		if c.cfg.soak < 10*time.Minute {
			return errors.New("the transaction was open for less than 10 minutes")
		}
		c.figure(results.OpenTransaction, 0, beside/((before+after)/2))
		return nil
	})
}

// openTransaction begins a transaction that sees the database as it is now for as long as its connection lives.
func openTransaction(ctx context.Context, url string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open a transaction: %w", err)
	}
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders.outbox"); err != nil {
		return nil, errors.Join(fmt.Errorf("open a transaction: %w", err), conn.Close(context.WithoutCancel(ctx)))
	}
	return conn, nil
}

// sampleEvery is how often the services are looked at.
const sampleEvery = 10 * time.Second

// watched looks at the services' memory and goroutines while do runs.
func (c *campaign) watched(ctx context.Context, pas *arm.RunningPas, do func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	began := time.Now()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			goroutines, err := pas.Goroutines(ctx)
			if err != nil {
				return errors.Join(err, <-ended)
			}
			s := results.Sample{Second: time.Since(began).Seconds(), MiB: map[string]float64{}, Goroutines: goroutines}
			for _, p := range pas.Processes() {
				s.MiB[p.Name] = float64(process.Resident(p.PID())) / (1 << 20)
			}
			c.found.Soak = append(c.found.Soak, s)
		}
	}
}
