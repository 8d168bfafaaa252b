package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/process"
	"pasdetrois/bench/report"
)

const (
	// soakLoops is the number of closed loops behind the median of each twin.
	soakLoops = 5
	// openFor is the least time that the transaction must be open for a figure.
	openFor = 10 * time.Minute
	// sampleEvery is the interval between two samples of the services' memory.
	sampleEvery = 10 * time.Second
)

// twin is one of two stacks of the product that run at the same time, each in its own sandbox. The load on one
// slows both alike.
type twin struct {
	*arm.Running
	name   string
	placed int       // orders so far
	rates  []float64 // orders settled per second, loop by loop
}

// soaked loads the services with half of their saturation for a long time and samples their memory. Meanwhile a
// forgotten transaction keeps the database from cleaning up. Then soaked compares them with a twin that has as
// many orders and no open transaction in its database. The twin is needed, since the growth of the tables alone
// makes both slower.
//
// Postgres keeps row versions per database. Vacuum may remove a version from an ordinary table when no session
// of the same database can need it (data_oldest_nonremovable of ComputeXidHorizons, procarray.c). So the open
// transaction does not hold back the twin's rows. The transaction must not write: a transaction id in progress
// counts as running in the snapshots of all databases, and would hold back vacuum everywhere.
func (c *campaign) soaked(ctx context.Context, _ int) error {
	half, err := c.halfLoad()
	if err != nil {
		return err
	}
	o := arm.Options{Clients: c.cfg.clients, Seconds: c.cfg.seconds, MinOrders: 200}
	return c.twin(ctx, "apart", o, func(apart *twin) error {
		return c.twin(ctx, "beside", o, func(beside *twin) error {
			share, err := c.compare(ctx, apart, beside, o, half)
			switch {
			case err != nil:
				return err
			// A shorter soak still runs and samples, but its share would be too good.
			case c.cfg.soak < openFor:
				return errors.New("the transaction was open for less than 10 minutes")
			}
			c.figure(report.OpenTransaction, 0, share)
			return nil
		})
	})
}

// twin starts a stack, warms it up, calls do with it, and removes it.
func (c *campaign) twin(ctx context.Context, name string, o arm.Options, do func(*twin) error) error {
	return c.bench.With(ctx, arm.Arm{Name: name, Start: arm.Pas().Start}, o, func(r *arm.Running) error {
		placed, _, err := c.bench.Warm(ctx, r, o)
		if err != nil {
			return err
		}
		return do(&twin{Running: r, name: name, placed: placed})
	})
}

// compare loads the stack beside the open transaction for the soak's time, and brings the other one to as many
// orders. It returns the first one's saturation as a share of the other's; 1 means that the transaction costs
// nothing. Both are audited.
func (c *campaign) compare(ctx context.Context, apart, beside *twin, o arm.Options, half float64) (float64, error) {
	forgotten, err := openTransaction(ctx, beside.AdminURL())
	if err != nil {
		return 0, err
	}
	defer func() { _ = forgotten.Close(context.WithoutCancel(ctx)) }()
	opened := time.Now()
	n := max(1, int(half*c.cfg.soak.Seconds()))
	err = c.sampled(ctx, beside.Running, func() error {
		_, err := c.bench.OpenLoop(ctx, beside.Running, o, beside.placed, n, half)
		beside.placed += n
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("load %s: %w", beside.name, err)
	}
	// The other stack gets its orders at full speed: only the size of its tables must be equal.
	if behind := beside.placed - apart.placed; behind > 0 {
		if _, err := c.loop(ctx, apart, o, behind); err != nil {
			return 0, err
		}
	}
	if err := c.alternate(ctx, o, max(200, int(2*half*c.cfg.seconds)), apart, beside); err != nil {
		return 0, err
	}
	// COMMIT fails when the server has ended the session. Then the transaction was open for an unknown time,
	// and the share means nothing.
	if _, err := forgotten.Exec(ctx, "COMMIT"); err != nil {
		return 0, fmt.Errorf("end the forgotten transaction: %w", err)
	}
	open := time.Since(opened)
	for _, t := range []*twin{apart, beside} {
		if err := t.Audit(ctx, t.placed, 0); err != nil {
			return 0, fmt.Errorf("audit %s: %w", t.name, err)
		}
	}
	c.say("saturation apart from a transaction open for %s: %.0f orders/s", open.Round(time.Second), apart.rates)
	c.say("and beside it: %.0f orders/s", beside.rates)
	return report.Summarize(beside.rates).Median / report.Summarize(apart.rates).Median, nil
}

// alternate loads the twins in turn, so that a slow minute of the machine affects both and their tables grow
// alike. It updates their statistics first, because autovacuum reaches each twin at a different moment.
func (c *campaign) alternate(ctx context.Context, o arm.Options, size int, twins ...*twin) error {
	for _, t := range twins {
		if err := t.Analyze(ctx); err != nil {
			return fmt.Errorf("analyze %s: %w", t.name, err)
		}
	}
	for range soakLoops {
		for _, t := range twins {
			rate, err := c.loop(ctx, t, o, size)
			if err != nil {
				return err
			}
			t.rates = append(t.rates, rate)
		}
	}
	return nil
}

// loop loads a twin with n more orders and returns the number that it settled per second.
func (c *campaign) loop(ctx context.Context, t *twin, o arm.Options, n int) (float64, error) {
	s, err := c.bench.Loop(ctx, t.Running, o, t.placed, n)
	if err != nil {
		return 0, fmt.Errorf("load %s: %w", t.name, err)
	}
	t.placed += n
	return s.Settled, nil
}

// REPEATABLE READ keeps the snapshot of the first query until the end; READ COMMITTED would take a new one for
// each.
const forgottenSQL = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM orders.outbox`

// openTransaction begins a transaction that keeps its snapshot until its connection closes, and that writes
// nothing.
func openTransaction(ctx context.Context, url string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open a transaction: %w", err)
	}
	if _, err := conn.Exec(ctx, forgottenSQL); err != nil {
		return nil, errors.Join(fmt.Errorf("open a transaction: %w", err), conn.Close(context.WithoutCancel(ctx)))
	}
	return conn, nil
}

// sampled samples the memory and goroutines of the services while do runs. A failed sample ends the sampling,
// but sampled still waits for do.
func (c *campaign) sampled(ctx context.Context, r *arm.Running, do func() error) error {
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
			goroutines, err := r.Goroutines(ctx)
			if err != nil {
				return errors.Join(err, <-ended)
			}
			s := report.Sample{Second: time.Since(began).Seconds(), MiB: map[string]float64{}, Goroutines: goroutines}
			for _, p := range r.Processes {
				s.MiB[p.Name] = float64(process.Resident(p.PID())) / (1 << 20)
			}
			c.found.Soak = append(c.found.Soak, s)
		}
	}
}
