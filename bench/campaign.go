package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/process"
	"pasdetrois/bench/site"
	"pasdetrois/bench/trial"
)

// campaign is one run of the benchmark.
type campaign struct {
	cfg   config
	out   io.Writer
	began time.Time
	work  string // a folder that goes away at the end
	bench *trial.Bench
}

func allParts() []string   { return []string{"saturation"} }
func quickParts() []string { return []string{"saturation"} }

func (c *campaign) has(part string) bool { return slices.Contains(c.cfg.parts, part) }

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
	c.bench = &trial.Bench{Bin: filepath.Join(c.work, "bin"), Logs: c.work, Say: c.say}
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

// build builds the services.
func (c *campaign) build(ctx context.Context) error {
	args := []string{"build", "-buildvcs=false", "-trimpath", "-o", c.bench.Bin + string(filepath.Separator)}
	for _, name := range arm.Services() {
		args = append(args, "./services/"+name+"/cmd/"+name)
	}
	if _, err := process.Run(ctx, c.cfg.root, nil, "go", args...); err != nil {
		return fmt.Errorf("build the services: %w", err)
	}
	for _, name := range c.cfg.arms {
		if name == "pas" {
			continue
		}
		if err := arm.BuildPeer(ctx, c.cfg.root, name, c.bench.Bin); err != nil {
			return err
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

func (c *campaign) run(ctx context.Context) error {
	for round := range c.cfg.rounds {
		for _, a := range []arm.Arm{arm.Pas(), arm.Idiomatic(), arm.Python()} {
			s, err := c.bench.Saturate(ctx, a, trial.Options{Clients: c.cfg.clients, Seconds: c.cfg.seconds, MinOrders: 200})
			if err != nil {
				return err
			}
			c.say("round %d %s: %d orders in %.1f s, %.0f orders/s, %.0f 202s/s, %v us", round+1, a.Name, s.Orders, s.Seconds, s.Settled, s.Accepted, s.CPUMicros)
		}
	}
	return nil
}
