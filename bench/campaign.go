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
	"pasdetrois/bench/page"
	"pasdetrois/bench/process"
	"pasdetrois/bench/results"
	"pasdetrois/bench/site"
	"pasdetrois/bench/trial"
)

// campaign is one run of the benchmark.
type campaign struct {
	cfg     config
	out     io.Writer
	began   time.Time
	work    string // a folder that goes away at the end
	bench   *trial.Bench
	found   *results.Results
	unbuilt map[string]error // peers that cannot be run here
}

// say tells what is going on, with the time since the start.
func (c *campaign) say(format string, args ...any) {
	fmt.Fprintf(c.out, "%6.1fs %s\n", time.Since(c.began).Seconds(), fmt.Sprintf(format, args...))
}

// prepare builds the programs and opens the site. What it leaves behind, close takes away.
func prepare(ctx context.Context, cfg config, out io.Writer) (*campaign, error) {
	c := &campaign{cfg: cfg, out: out, began: time.Now()}
	var err error
	if c.work, err = os.MkdirTemp("", "pasdetrois-bench-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	c.bench = &trial.Bench{Bin: filepath.Join(c.work, "bin"), Logs: c.work, Profiles: cfg.profiles, Say: c.say}
	if cfg.profiles != "" {
		if err := os.MkdirAll(cfg.profiles, 0o755); err != nil {
			return nil, errors.Join(fmt.Errorf("make the folder of profiles: %w", err), c.close())
		}
	}
	if err := c.build(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.say("built the programs")
	if c.bench.Site, err = site.Open(ctx, site.Config{Brokers: cfg.brokers, DatabaseURL: cfg.databaseURL}); err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.say("Kafka and Postgres are there")
	return c, nil
}

func (c *campaign) has(part string) bool { return slices.Contains(c.cfg.parts, part) }

// build builds the services, this program for its handlers, and the peers.
func (c *campaign) build(ctx context.Context) error {
	args := []string{"build", "-buildvcs=false", "-o", c.bench.Bin + string(filepath.Separator)}
	for _, name := range arm.Services() {
		args = append(args, "./services/"+name+"/cmd/"+name)
	}
	args = append(args, "./bench")
	if _, err := process.Run(ctx, c.cfg.root, nil, "go", args...); err != nil {
		return fmt.Errorf("build the services: %w", err)
	}
	peers := slices.DeleteFunc(slices.Clone(c.cfg.arms), func(name string) bool { return name == results.Pas })
	if c.has(relay) || c.has(lanes) {
		peers = append(peers, stock)
	}
	c.unbuilt = map[string]error{}
	for _, name := range peers {
		if err := arm.BuildPeer(ctx, c.cfg.root, name, c.bench.Bin); err != nil {
			if ctx.Err() != nil {
				return err
			}
			c.unbuilt[name] = err // told where its number is missing
		}
	}
	return nil
}

func (c *campaign) close() error {
	var err error
	if c.bench.Site != nil {
		err = c.bench.Site.Close()
	}
	return errors.Join(err, os.RemoveAll(c.work))
}

// run measures, tells, and writes what it found. A run that was interrupted writes nothing.
func (c *campaign) run(ctx context.Context) error {
	c.found = &results.Results{Date: c.began, Form: c.cfg.form, Real: c.bench.Site.Real, Clients: c.cfg.clients,
		Host: results.Host{CPUs: runtime.NumCPU(), System: system(), Before: process.Load()}, Versions: c.bench.Site.Versions(ctx)}
	c.found.Versions["go"] = strings.TrimPrefix(runtime.Version(), "go")
	stolen, all := process.Stolen()
	if err := c.warmUp(ctx); err != nil {
		return err
	}
	for round := 1; round <= c.cfg.rounds; round++ {
		for _, s := range c.inRounds() {
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
		c.found.Host.Stolen = 100 * float64(stolenNow-stolen) / float64(allNow-all)
	}
	return c.finish()
}

// warmUp loads what all arms stand on, for no number. A broker that was just started has its code compiled while it works, and
// a new Postgres makes its first files: without this the first arm would pay for all.
func (c *campaign) warmUp(ctx context.Context) error {
	if !c.has(saturation) {
		return nil
	}
	s, err := c.bench.Saturate(ctx, arm.Pas(), trial.Options{Clients: c.cfg.clients, Seconds: c.cfg.warmUp})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		c.missing("the warm-up", 0, err)
		return nil
	}
	c.say("warmed up with %d orders", s.Orders)
	return nil
}

// step is something to measure.
type step struct {
	name string
	part string // the step is left out unless this part is asked for
	once bool   // in the first rounds only: it stands alone, or beside something of the same round
	do   func(ctx context.Context, round int) error
}

// try runs a step. What fails has no number, which is told, and the others go on; only an interruption ends the run.
func (c *campaign) try(ctx context.Context, s step, round int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !c.has(s.part) || s.once && round > c.cfg.onceRounds {
		return nil
	}
	if c.cfg.limit > 0 && time.Since(c.began) > c.cfg.limit {
		c.missing(s.name, round, fmt.Errorf("no time was left: nothing is begun after %s", c.cfg.limit))
		return nil
	}
	err := s.do(ctx, round)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		c.missing(s.name, round, err)
	}
	return nil
}

func (c *campaign) missing(what string, round int, why error) {
	text := strings.Join(strings.Fields(why.Error()), " ")
	c.say("NO NUMBER for %s: %s", what, text)
	c.found.Missing = append(c.found.Missing, results.Missing{What: what, Round: round, Why: text})
}

// finish judges and writes.
func (c *campaign) finish() error {
	c.found.Host.After = process.Load()
	c.found.Seconds = time.Since(c.began).Seconds()
	c.found.Judge()
	name, err := c.found.Write(c.cfg.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "\n%s\n", page.Text(c.found))
	for _, g := range c.found.Goals {
		fmt.Fprintln(c.out, g.Line())
	}
	fmt.Fprintf(c.out, "\n%s\n", name)
	if c.cfg.docs == "" {
		return nil
	}
	return page.Update(c.cfg.docs, c.found)
}

// system names the operating system and its kernel.
func system() string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + string(kernel))
}
