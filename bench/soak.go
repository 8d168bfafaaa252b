package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/process"
	"pasdetrois/bench/results"
	"pasdetrois/bench/stats"
	"pasdetrois/bench/trial"
)

const (
	// soakLoops is how many loops of each twin one rate of the soak is the median of.
	soakLoops = 5
	// openFor is how long the transaction has to be open before what it costs is a figure.
	openFor = 10 * time.Minute
)

// twin is one of two stacks of the product that run at the same time, each on topics and in a database of its own. What the
// other one does costs both alike.
type twin struct {
	*arm.RunningPas
	name   string
	placed int       // orders so far
	rates  []float64 // orders settled per second, loop by loop
}

// soaked loads the services with half of what they carry for a long time, while a transaction that somebody forgot keeps
// the database from cleaning up, and looks at their memory meanwhile. Then it compares them with a twin of as many orders
// in whose database nothing is open: the tables' growth alone makes both slower.
//
// Postgres keeps row versions per database. What vacuum and pruning may remove of an ordinary table (data_oldest_nonremovable
// of ComputeXidHorizons, procarray.c) depends on the sessions of the same database only, so the open transaction does not
// hold back the twin's. It must not write, though: every snapshot, in all databases, takes the transaction ids that are in
// progress on the whole server for running, and holds back vacuum from the oldest of them on.
func (c *campaign) soaked(ctx context.Context, _ int) error {
	saturated, ok := results.Median(c.found.Of(results.Pas, results.Settled))
	if !ok {
		return errors.New("saturation was not measured, so half of it is unknown")
	}
	o := trial.Options{Clients: c.cfg.clients, Seconds: c.cfg.seconds, MinOrders: 200}
	var share float64
	err := c.twin(ctx, "apart", o, func(apart *twin) error {
		return c.twin(ctx, "beside", o, func(beside *twin) (err error) {
			share, err = c.compare(ctx, apart, beside, o, saturated)
			return err
		})
	})
	if err != nil {
		return err
	}
	if c.cfg.soak < openFor {
		return errors.New("the transaction was open for less than 10 minutes")
	}
	c.figure(results.OpenTransaction, 0, share)
	return nil
}

// twin starts a stack, lets do use it warmed up, and takes it away again.
func (c *campaign) twin(ctx context.Context, name string, o trial.Options, do func(*twin) error) error {
	return c.bench.With(ctx, arm.Arm{Name: name, Start: arm.Pas().Start}, o, func(r arm.Running) error {
		t := &twin{RunningPas: r.(*arm.RunningPas), name: name}
		var err error
		if t.placed, _, err = c.bench.Warm(ctx, r, o); err != nil {
			return err
		}
		return do(t)
	})
}

// compare loads the stack beside the open transaction for the soak's time, brings the other one to as many orders, then
// returns which share of that one's saturation the first one has. Both are audited before.
func (c *campaign) compare(ctx context.Context, apart, beside *twin, o trial.Options, saturated float64) (float64, error) {
	forgotten, err := openTransaction(ctx, beside.Database())
	if err != nil {
		return 0, err
	}
	defer func() { _ = forgotten.Close(context.WithoutCancel(ctx)) }()
	opened := time.Now()
	n := max(1, int(saturated/2*c.cfg.soak.Seconds()))
	err = c.watched(ctx, beside.RunningPas, func() error {
		_, err := c.bench.OpenLoop(ctx, beside.RunningPas, o, beside.placed, n, saturated/2)
		beside.placed += n
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("load %s: %w", beside.name, err)
	}
	if behind := beside.placed - apart.placed; behind > 0 {
		if _, err := c.loop(ctx, apart, o, behind); err != nil {
			return 0, err
		}
	}
	if err := c.alternate(ctx, o, max(200, int(saturated*c.cfg.seconds)), apart, beside); err != nil {
		return 0, err
	}
	// It fails when the server has ended the session before: nobody knows for how long the transaction was open then.
	if _, err := forgotten.Exec(ctx, "COMMIT"); err != nil {
		return 0, fmt.Errorf("end the forgotten transaction: %w", err)
	}
	open := time.Since(opened)
	for _, t := range []*twin{apart, beside} {
		if err := t.Audit(ctx, t.placed); err != nil {
			return 0, fmt.Errorf("audit %s: %w", t.name, err)
		}
	}
	c.say("saturation apart from a transaction open for %s: %.0f orders/s", open.Round(time.Second), apart.rates)
	c.say("and beside it: %.0f orders/s", beside.rates)
	return stats.Summarize(beside.rates).Median / stats.Summarize(apart.rates).Median, nil
}

// alternate loads twins in turn, so that a slow minute of the machine hits all of them and all grow alike. Autovacuum gets
// round to each at another moment, so what the planner knows of them is made equally fresh first.
func (c *campaign) alternate(ctx context.Context, o trial.Options, size int, twins ...*twin) error {
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

// loop loads a twin with n more orders and returns how many it settled a second.
func (c *campaign) loop(ctx context.Context, t *twin, o trial.Options, n int) (float64, error) {
	s, err := c.bench.Loop(ctx, t.RunningPas, o, t.placed, n)
	if err != nil {
		return 0, fmt.Errorf("load %s: %w", t.name, err)
	}
	t.placed += n
	return s.Settled, nil
}

// openTransaction begins a transaction that sees the database as it is now for as long as its connection lives, and writes
// nothing.
func openTransaction(ctx context.Context, url string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open a transaction: %w", err)
	}
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT count(*) FROM orders.outbox"); err != nil {
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
