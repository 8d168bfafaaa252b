package arm

import (
	"context"
	"fmt"
	"os"
	"time"

	"pasdetrois/bench/load"
	"pasdetrois/bench/process"
)

// Bench measures arms. Its methods must not run concurrently: arms share the servers and the processors.
type Bench struct {
	Servers *Servers
	Bin     string // the folder of the built programs
	Logs    string // a folder for their output
}

// Options describe how an arm is set up and loaded. The number of orders of a closed loop is Seconds times the
// expected rate, within MinOrders and MaxOrders.
type Options struct {
	Clients    int              // of the closed loop
	Seconds    float64          // about how long the closed loop takes
	MinOrders  int              // of the closed loop
	MaxOrders  int              // of the closed loop; 0 = no limit
	SKU        func(int) string // nil = spread over all products
	Replicas   int              // of each service; 0 = 1
	Signed     bool             // the product's services sign the events that move money, and verify them
	Partitions map[string]int32 // nil = the contract's
}

// Cost is the programs' use of the machine for the orders of one loop.
type Cost struct {
	// CPUMicros are microseconds of processor time, user and system, per order and program. postgres and kafka
	// are present when they run on this machine. load is the load generator.
	CPUMicros map[string]float64 `json:"cpu_us_per_order"`
	PeakMiB   map[string]float64 `json:"peak_rss_mib"` // by program of the arm
}

// The programs that belong to no arm.
const (
	Postgres = "postgres"
	Kafka    = "kafka"
	Load     = "load"
)

// shared reports whether a program serves all arms.
func shared(program string) bool { return program == Postgres || program == Kafka || program == Load }

// Services returns the processor time per order of the arm's own programs, in microseconds.
func (c Cost) Services() float64 {
	sum := 0.0
	for program, us := range c.CPUMicros {
		if !shared(program) {
			sum += us
		}
	}
	return sum
}

// Whole returns the processor time per order of all programs but the load generator. On a machine with few
// processors it decides the saturation, and it varies less.
func (c Cost) Whole() float64 { return c.Services() + c.CPUMicros[Postgres] + c.CPUMicros[Kafka] }

// Saturation is the result of a closed loop.
type Saturation struct {
	Orders   int          `json:"orders"`
	Seconds  float64      `json:"seconds"`    // from the first POST to the last email
	Settled  float64      `json:"settled_s"`  // orders per second, over that time
	Accepted float64      `json:"accepted_s"` // answers 202 per second, until the last one
	Refused  int          `json:"refused"`
	Answers  load.Latency `json:"answers_ms"`
	Cost
	Batches map[string]Histogram `json:"batches,omitempty"`
	Load    float64              `json:"load_average"`
}

// Timed is the result of an open loop. Its times count from when an order was due, not from when it was sent:
// an arm that falls behind must not hide the waiting time (coordinated omission).
type Timed struct {
	Emails  load.Latency         `json:"emails_ms"` // from when an order was due to its email
	Answers load.Latency         `json:"answers_ms"`
	Batches map[string]Histogram `json:"batches"`
	Steps   []Step               `json:"steps,omitempty"`
	Refused int                  `json:"refused"`
	Cost
	Load float64 `json:"load_average"`
}

// warmOrders is the first loop of a warm-up. patience bounds the wait for the next email.
const (
	warmOrders = 256
	patience   = 30 * time.Second // without any email
)

// With starts an arm in a sandbox, calls do with it, and removes both. After a failure the logs stay in
// Bench.Logs. A program that does not stop cleanly is an error, except after an interrupt.
func (b *Bench) With(ctx context.Context, a Arm, o Options, do func(*Running) error) error {
	partitions := o.Partitions
	if partitions == nil {
		partitions = Partitions()
	}
	err := b.Servers.In(ctx, partitions, func(box *Sandbox) error {
		logs, err := os.MkdirTemp(b.Logs, "arm-")
		if err != nil {
			return err
		}
		r, err := a.Start(ctx, Env{Sandbox: box, Brokers: b.Servers.Brokers, Bin: b.Bin, Logs: logs, Replicas: o.Replicas, Signed: o.Signed})
		if err != nil {
			return fmt.Errorf("start: %w", err)
		}
		err = do(r)
		if stopErr := r.Stop(); err == nil && ctx.Err() == nil {
			err = stopErr
		}
		if err != nil {
			return err
		}
		return os.RemoveAll(logs)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	return nil
}

// Saturate measures the number of orders per second that an arm settles. The figure counts only after the
// audit.
func (b *Bench) Saturate(ctx context.Context, a Arm, o Options) (s Saturation, err error) {
	err = b.With(ctx, a, o, func(r *Running) error {
		placed, rate, err := b.Warm(ctx, r, o)
		if err != nil {
			return err
		}
		if s, err = b.Loop(ctx, r, o, placed, o.orders(rate)); err != nil {
			return err
		}
		return r.Audit(ctx, placed+s.Orders, 0)
	})
	return s, err
}

// Take measures the number of orders per second that an arm answers with 202. Later steps of the orders do not
// count.
func (b *Bench) Take(ctx context.Context, a Arm, o Options) (perSecond float64, err error) {
	err = b.With(ctx, a, o, func(r *Running) error {
		placed, n := 0, warmOrders
		for range 3 { // the first two loops warm the arm up
			got, err := load.Closed(ctx, r.target(o.sku()), o.Clients, placed, n)
			if err == nil {
				err = r.Analyze(ctx)
			}
			if err != nil {
				return err
			}
			placed, perSecond = placed+n, got.Rate()
			n = o.orders(perSecond)
		}
		return r.Audit(ctx, placed, 0)
	})
	return perSecond, err
}

// orders returns the number of orders of a loop at an expected rate per second.
func (o Options) orders(rate float64) int {
	n := max(int(rate*o.Seconds), o.MinOrders, 1)
	if o.MaxOrders > 0 {
		n = min(n, o.MaxOrders)
	}
	return n
}

// sku returns the choice of products, which is Uniform unless set.
func (o Options) sku() func(int) string {
	if o.SKU != nil {
		return o.SKU
	}
	return Uniform
}

// Warm warms an arm up and updates the planner's statistics. It returns the number of orders that it placed,
// and about how many the arm settles per second. That rate sizes the measured loop.
func (b *Bench) Warm(ctx context.Context, r *Running, o Options) (placed int, rate float64, err error) {
	n := warmOrders
	if o.MaxOrders > 0 {
		n = min(n, o.MaxOrders)
	}
	// A short loop is idle for much of its time, at its end. So the rate of a longer one predicts o.Seconds better.
	for i, seconds := range []float64{0, 1, max(1, o.Seconds/2)} {
		if i > 0 {
			n = Options{Seconds: seconds, MinOrders: n / 4, MaxOrders: o.MaxOrders}.orders(rate)
		}
		began := time.Now()
		_, err := load.Closed(ctx, r.target(o.sku()), o.Clients, placed, n)
		placed += n
		if err == nil {
			err = r.AwaitEmails(ctx, placed, 20*time.Millisecond, patience)
		}
		if err != nil {
			return placed, rate, err
		}
		rate = float64(n) / time.Since(began).Seconds()
		if err := r.Analyze(ctx); err != nil {
			return placed, rate, err
		}
	}
	return placed, rate, nil
}

// Loop runs one closed loop of n orders on an arm that has received placed orders before. Orders are numbered
// through, so that no two share a customer.
func (b *Bench) Loop(ctx context.Context, r *Running, o Options, placed, n int) (s Saturation, err error) {
	m, err := b.loaded(ctx, r, placed, n, func() (load.Placed, error) {
		return load.Closed(ctx, r.target(o.sku()), o.Clients, placed, n)
	})
	if err != nil {
		return s, err
	}
	seconds := m.last.Sub(m.First).Seconds()
	return Saturation{Orders: n, Seconds: seconds, Settled: float64(n) / seconds, Accepted: m.Rate(), Refused: m.Refused,
		Answers: load.Latencies(m.Answers), Cost: m.cost, Batches: m.batches, Load: m.average}, nil
}

// OpenLoop places n orders at a rate per second on an arm that has received placed orders before. It waits for
// their emails and takes their times from the database.
func (b *Bench) OpenLoop(ctx context.Context, r *Running, o Options, placed, n int, rate float64) (out Timed, err error) {
	// More connections than are ever busy unless the arm falls behind, and few enough for none to be idle for long.
	clients := min(256, max(8, int(rate/2)))
	m, err := b.loaded(ctx, r, placed, n, func() (load.Placed, error) {
		return load.Open(ctx, r.target(o.sku()), clients, placed, n, rate)
	})
	if err != nil {
		return out, err
	}
	out = Timed{Answers: load.Latencies(m.Answers), Refused: m.Refused, Cost: m.cost, Batches: m.batches, Load: m.average}
	if out.Steps, err = r.steps(ctx, m.First); err != nil {
		return out, err
	}
	sent, err := r.sentAt(ctx)
	if err != nil {
		return out, err
	}
	times := make([]time.Duration, n)
	for i := range n {
		at, ok := sent[user(placed+i)]
		if !ok {
			return out, fmt.Errorf("the email of order %d is not stored", placed+i)
		}
		times[i] = at.Sub(m.Intended[i])
	}
	out.Emails = load.Latencies(times)
	return out, nil
}

// measured is the result of any loop.
type measured struct {
	load.Placed
	last    time.Time // email
	cost    Cost
	batches map[string]Histogram
	average float64 // load average
}

// loaded runs a loop of n orders until the last email is emitted and stored. The cost is read when the last
// email is emitted: storing that fact is not part of it.
func (b *Bench) loaded(ctx context.Context, r *Running, placed, n int, loop func() (load.Placed, error)) (m measured, err error) {
	if err := r.MarkBatches(ctx); err != nil {
		return m, err
	}
	before := b.usage(r)
	if m.Placed, err = loop(); err != nil {
		return m, err
	}
	if err := r.AwaitEmails(ctx, placed+n, 50*time.Millisecond, patience); err != nil {
		return m, err
	}
	m.cost, m.average = costOf(before, b.usage(r), n), process.Load()
	if m.batches, err = r.Batches(ctx); err == nil {
		m.last, err = r.lastEmail(ctx, placed+n)
	}
	return m, err
}

// usage reads the processor time and memory of every program so far.
func (b *Bench) usage(r *Running) map[string]process.Usage {
	found := map[string]process.Usage{Load: process.Own()}
	for _, p := range r.Processes {
		found[p.Name] = process.UsageOf(p.PID())
	}
	for name, pid := range map[string]int{Postgres: b.Servers.PostgresPID(), Kafka: b.Servers.KafkaPID()} {
		if pid > 0 {
			found[name] = process.UsageOf(pid)
		}
	}
	return found
}

// costOf returns the difference of two usages per order. Peak memory is that of the program's whole life.
func costOf(before, after map[string]process.Usage, orders int) Cost {
	c := Cost{CPUMicros: map[string]float64{}, PeakMiB: map[string]float64{}}
	for name, u := range after {
		c.CPUMicros[name] = float64((u.CPU - before[name].CPU).Microseconds()) / float64(orders)
		if !shared(name) {
			c.PeakMiB[name] = float64(u.Peak) / (1 << 20)
		}
	}
	return c
}
