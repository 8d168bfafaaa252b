// Package trial measures one arm once: on a place of its own, warmed up, and audited before its figures count.
package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/load"
	"pasdetrois/bench/process"
	"pasdetrois/bench/site"
	"pasdetrois/bench/stats"
)

// Bench is what trials are made with.
type Bench struct {
	Site *site.Site
	Bin  string // the folder of the built programs
	Logs string // a folder for what they write
	// Profiles is a folder for CPU profiles of the services during each closed loop, the last one of each kept; "" = none.
	Profiles string
	Say      func(format string, args ...any)
}

// Options say how an arm is set up and loaded.
type Options struct {
	Clients    int              // of the closed loop
	Seconds    float64          // how long the closed loop shall take, about
	MinOrders  int              // and at least so many
	MaxOrders  int              // and at most so many
	SKU        func(int) string // nil = spread over all products
	Replicas   int              // of each service; 0 = 1
	Partitions map[string]int32 // nil = the contract's
	Extra      map[string][]string
}

// Cost is what the programs spent on orders.
type Cost struct {
	// CPUMicros are microseconds of processor, user and system, for each order, by program. postgres and kafka are there
	// when they run on this machine; load is the load generator's own.
	CPUMicros map[string]float64 `json:"cpu_us_per_order"`
	PeakMiB   map[string]float64 `json:"peak_rss_mib"` // by program of the arm
}

// The programs that are none of an arm's.
const (
	Postgres = "postgres"
	Kafka    = "kafka"
	Load     = "load"
)

// Services returns what the arm's own programs spent.
func (c Cost) Services() float64 {
	sum := 0.0
	for name, us := range c.CPUMicros {
		if name != Postgres && name != Kafka && name != Load {
			sum += us
		}
	}
	return sum
}

// Whole returns what everything but the load generator spent.
func (c Cost) Whole() float64 { return c.Services() + c.CPUMicros[Postgres] + c.CPUMicros[Kafka] }

// Saturation is a closed loop's outcome.
type Saturation struct {
	Orders   int           `json:"orders"`
	Seconds  float64       `json:"seconds"`    // from the first POST to the last email
	Settled  float64       `json:"settled_s"`  // orders per second, over that time
	Accepted float64       `json:"accepted_s"` // answers 202 per second, until the last of them
	Refused  int           `json:"refused"`
	Answers  stats.Latency `json:"answers_ms"`
	Cost
	Batches map[string]arm.Histogram `json:"batches,omitempty"`
	Load    float64                  `json:"load_average"`
}

const (
	warmOrders = 256
	patience   = 30 * time.Second // without any email
)

// With starts an arm on a place of its own, lets do use it, and takes everything away again.
func (b *Bench) With(ctx context.Context, a arm.Arm, o Options, do func(arm.Running) error) (err error) {
	partitions := o.Partitions
	if partitions == nil {
		partitions = site.Partitions()
	}
	plot, err := b.Site.Plot(ctx, partitions)
	if err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	defer func() { err = errors.Join(err, plot.Clear()) }()
	logs, err := os.MkdirTemp(b.Logs, a.Name+"-")
	if err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	r, err := a.Start(ctx, arm.Env{Plot: plot, Brokers: b.Site.Brokers, Bin: b.Bin, Logs: logs, Replicas: o.Replicas, Extra: o.Extra})
	if err != nil {
		return fmt.Errorf("start %s: %w", a.Name, err)
	}
	err = do(r)
	if stopErr := r.Stop(); err == nil && ctx.Err() == nil {
		err = stopErr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	return os.RemoveAll(filepath.Clean(logs)) // kept for who looks for the cause when it failed
}

// Saturate measures how many orders a second an arm carries to their end.
func (b *Bench) Saturate(ctx context.Context, a arm.Arm, o Options) (s Saturation, err error) {
	err = b.With(ctx, a, o, func(r arm.Running) error {
		placed, rate, err := b.Warm(ctx, r, o)
		if err != nil {
			return err
		}
		s, err = b.Loop(ctx, r, o, placed, o.orders(rate))
		if err != nil {
			return err
		}
		return r.Audit(ctx, placed+s.Orders)
	})
	return s, err
}

func (o Options) orders(rate float64) int {
	n := max(int(rate*o.Seconds), o.MinOrders, 1)
	if o.MaxOrders > 0 {
		n = min(n, o.MaxOrders)
	}
	return n
}

func (o Options) sku() func(int) string {
	if o.SKU != nil {
		return o.SKU
	}
	return arm.Uniform
}

// Warm warms an arm up and lets the database count its rows. It returns how many orders that took, and about how many a
// second the arm carries.
func (b *Bench) Warm(ctx context.Context, r arm.Running, o Options) (placed int, rate float64, err error) {
	n := warmOrders
	if o.MaxOrders > 0 {
		n = min(n, o.MaxOrders)
	}
	// The end of a short loop, when nothing comes in any more, is much of it: the rate of a longer one tells better how many
	// orders last o.Seconds.
	for i, seconds := range []float64{0, 1, max(1, o.Seconds/2)} {
		if i > 0 {
			n = Options{Seconds: seconds, MinOrders: n / 4, MaxOrders: o.MaxOrders}.orders(rate)
		}
		began := time.Now()
		if _, err := load.Closed(ctx, r.Target(o.sku()), o.Clients, placed, n); err != nil {
			return placed, rate, err
		}
		placed += n
		if err := arm.AwaitEmails(ctx, r, placed, 20*time.Millisecond, patience); err != nil {
			return placed, rate, err
		}
		rate = float64(n) / time.Since(began).Seconds()
		if err := r.Analyze(ctx); err != nil {
			return placed, rate, err
		}
	}
	return placed, rate, nil
}

// Loop runs one closed loop of n orders on an arm that has got placed orders before.
func (b *Bench) Loop(ctx context.Context, r arm.Running, o Options, placed, n int) (s Saturation, err error) {
	pas, _ := r.(*arm.RunningPas)
	if pas != nil {
		if err := pas.MarkBatches(ctx); err != nil {
			return s, err
		}
	}
	profiled := func() error { return nil }
	if pas != nil && b.Profiles != "" {
		profiled = pas.Profile(ctx, b.Profiles, max(1, int(o.Seconds)))
	}
	before := b.usage(r)
	got, err := load.Closed(ctx, r.Target(o.sku()), o.Clients, placed, n)
	if err != nil {
		return s, errors.Join(err, profiled())
	}
	if err := arm.AwaitEmails(ctx, r, placed+n, 50*time.Millisecond, patience); err != nil {
		return s, errors.Join(err, profiled())
	}
	after := b.usage(r)
	if err := profiled(); err != nil {
		return s, err
	}
	s = Saturation{Orders: n, Accepted: got.Rate(), Refused: got.Refused, Answers: stats.Latencies(got.Answers), Load: process.Load()}
	s.Cost = costOf(before, after, n)
	if pas != nil {
		if s.Batches, err = pas.Batches(ctx); err != nil {
			return s, err
		}
	}
	end, err := lastEmail(ctx, r, placed+n)
	if err != nil {
		return s, err
	}
	s.Seconds = end.Sub(got.First).Seconds()
	s.Settled = float64(n) / s.Seconds
	return s, nil
}

// lastEmail returns the moment of the last email: an arm may write it down only some time after it was emitted.
func lastEmail(ctx context.Context, r arm.Running, emails int) (time.Time, error) {
	for deadline := time.Now().Add(patience); ; {
		n, last, err := r.LastEmail(ctx)
		if err != nil {
			return last, err
		}
		if n >= emails {
			return last, nil
		}
		if time.Now().After(deadline) {
			return last, fmt.Errorf("%d of %d emails are written down", n, emails)
		}
	}
}

// usage reads what every program has spent so far.
func (b *Bench) usage(r arm.Running) map[string]process.Usage {
	found := map[string]process.Usage{Load: process.Own()}
	for _, p := range r.Processes() {
		found[p.Name] = process.UsageOf(p.PID())
	}
	if pid := b.Site.PostgresPID(); pid > 0 {
		found[Postgres] = process.UsageOf(pid)
	}
	if pid := b.Site.KafkaPID(); pid > 0 {
		found[Kafka] = process.UsageOf(pid)
	}
	return found
}

func costOf(before, after map[string]process.Usage, orders int) Cost {
	c := Cost{CPUMicros: map[string]float64{}, PeakMiB: map[string]float64{}}
	for name, u := range after {
		c.CPUMicros[name] = float64((u.CPU - before[name].CPU).Microseconds()) / float64(orders)
		if name != Postgres && name != Kafka && name != Load { // their memory is nobody's order
			c.PeakMiB[name] = float64(u.Peak) / (1 << 20)
		}
	}
	return c
}
