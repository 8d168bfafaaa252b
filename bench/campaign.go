package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/process"
	"pasdetrois/bench/report"
)

// campaign is one run of the benchmark. Its steps run one after the other on one goroutine, since two
// measurements at a time would measure each other.
//
//	prepare: build programs, open servers
//	run:     warm-up -> rounds (each: every step of the round) -> long steps -> judge -> write
//	close:   stop servers, remove the folder
type campaign struct {
	cfg      config
	out      io.Writer
	began    time.Time
	work     string // folder of programs and logs, which close removes
	bench    *arm.Bench
	found    *report.Results
	revision arm.Arm          // the product of -against
	unbuilt  map[string]error // peers that cannot be built here, with the reason
}

// say writes a line of progress, with the seconds since the start.
func (c *campaign) say(format string, args ...any) {
	fmt.Fprintf(c.out, "%6.1fs %s\n", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...))
}

// prepare builds the programs and connects to the servers. On an error nothing is left behind; otherwise the
// caller must call close.
func prepare(ctx context.Context, cfg config, out io.Writer) (*campaign, error) {
	c := &campaign{cfg: cfg, out: out, began: time.Now(), unbuilt: map[string]error{}}
	var err error
	if c.work, err = os.MkdirTemp("", "pasdetrois-bench-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	c.bench = &arm.Bench{Bin: filepath.Join(c.work, "bin"), Logs: c.work}
	if err = c.build(ctx); err == nil {
		c.say("built the programs")
		c.bench.Servers, err = arm.Open(ctx, cfg.brokers, cfg.databaseURL)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.say("connected to Kafka and Postgres")
	return c, nil
}

// has reports whether a part of the benchmark runs.
func (c *campaign) has(part string) bool { return slices.Contains(c.cfg.parts, part) }

// build builds the services, this program for its handlers, the peers, and the services of another revision. A
// peer that cannot be built has no figures, and the run continues: not every machine has Python.
func (c *campaign) build(ctx context.Context) error {
	if err := arm.BuildServices(ctx, c.cfg.root, c.bench.Bin, "./bench"); err != nil {
		return err
	}
	peers := slices.DeleteFunc(slices.Clone(c.cfg.arms), func(name string) bool { return name == report.Pas })
	if c.has(relay) || c.has(lanes) {
		peers = append(peers, stock)
	}
	for _, name := range peers {
		if err := arm.BuildPeer(ctx, c.cfg.root, name, c.bench.Bin); err != nil {
			if ctx.Err() != nil {
				return err
			}
			c.unbuilt[name] = err // the report gives it as the reason for each missing number
		}
	}
	if c.cfg.against == "" {
		return nil
	}
	c.say("building the services of %s", c.cfg.against)
	var err error
	c.revision, err = arm.At(ctx, c.cfg.root, c.cfg.against)
	return err
}

// close stops the servers that this run started, and removes programs and logs.
func (c *campaign) close() error {
	var err error
	if c.bench.Servers != nil {
		err = c.bench.Servers.Close()
	}
	return errors.Join(err, os.RemoveAll(c.work))
}

// run measures and writes the results. An interrupted run writes nothing: results with arbitrary gaps could be
// taken for whole ones.
func (c *campaign) run(ctx context.Context) error {
	c.found = &report.Results{Date: c.began, Form: c.cfg.form, Against: c.revision.Name, Real: c.bench.Servers.Real, Clients: c.cfg.clients,
		Host: report.Host{CPUs: runtime.NumCPU(), System: system(), Before: process.Load()}, Versions: c.bench.Servers.Versions(ctx)}
	c.found.Versions["go"] = strings.TrimPrefix(runtime.Version(), "go")
	// Time that a hypervisor takes away slows every step. The report shows its share, so that a reader can
	// doubt the run.
	stolen, all := process.Stolen()
	if err := c.warmUp(ctx); err != nil {
		return err
	}
	for round := 1; round <= c.cfg.rounds; round++ {
		for _, s := range c.inRounds(round) {
			if err := c.try(ctx, s, round); err != nil {
				return err
			}
		}
	}
	for _, s := range c.afterwards() {
		if err := c.try(ctx, s, 0); err != nil {
			return err
		}
	}
	if stolenNow, allNow := process.Stolen(); allNow > all {
		c.found.Host.Stolen = 100 * (stolenNow - stolen) / (allNow - all)
	}
	return c.finish()
}

// warmUp loads the servers without taking a number. A broker that has just started compiles its code while it
// works, and a new Postgres creates its first files. Without a warm-up, the first arm would pay for both.
func (c *campaign) warmUp(ctx context.Context) error {
	if !c.has(saturation) {
		return nil
	}
	return c.try(ctx, step{name: "the warm-up", part: saturation, do: func(ctx context.Context, _ int) error {
		s, err := c.bench.Saturate(ctx, arm.Pas(), arm.Options{Clients: c.cfg.clients, Seconds: c.cfg.warmUp})
		if err == nil {
			c.say("warmed up with %d orders", s.Orders)
		}
		return err
	}}, 0)
}

// step is one measurement. It adds its numbers to campaign.found, or returns the reason why it has none.
type step struct {
	name string
	part string // the step runs only with this part
	once bool   // only in the first onceRounds rounds
	do   func(ctx context.Context, round int) error
}

// try runs a step unless its part is not wanted, its rounds are over, or the time limit has passed. A failed
// step has no number: the report names it with the reason, and the run continues. Only an interruption is
// returned as an error.
func (c *campaign) try(ctx context.Context, s step, round int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !c.has(s.part) || s.once && round > c.cfg.onceRounds {
		return nil
	}
	err := fmt.Errorf("no time was left: no step begins after %s", c.cfg.limit)
	if c.cfg.limit == 0 || time.Since(c.began) <= c.cfg.limit {
		err = s.do(ctx, round)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		text := strings.Join(strings.Fields(err.Error()), " ")
		c.say("NO NUMBER for %s: %s", s.name, text)
		c.found.Missing = append(c.found.Missing, report.Missing{What: s.name, Round: round, Why: text})
	}
	return nil
}

// finish judges the results, writes them as JSON, prints them, and rewrites the tables of performance.md. The
// JSON comes first, since the page can be made from it again.
func (c *campaign) finish() error {
	c.found.Host.After = process.Load()
	c.found.Seconds = time.Since(c.began).Seconds()
	c.found.Judge()
	name, err := c.found.Write(c.cfg.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "\n%s\n", report.Text(c.found))
	for _, g := range c.found.Goals {
		fmt.Fprintln(c.out, g.Line())
	}
	fmt.Fprintf(c.out, "\n%s\n", name)
	if c.cfg.docs == "" {
		return nil
	}
	return report.Update(c.cfg.docs, c.found)
}

// system returns the operating system, the architecture and the kernel's version.
func system() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + string(kernel))
}
