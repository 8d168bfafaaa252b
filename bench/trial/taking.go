package trial

import (
	"context"
	"fmt"
	"os"

	"errors"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/load"
	"pasdetrois/bench/site"
)

// Take measures how many orders a second are answered with 202, and nothing more.
func (b *Bench) Take(ctx context.Context, name string, start func(context.Context, arm.Env) (*arm.Taker, error), o Options) (perSecond float64, err error) {
	plot, err := b.Site.Plot(ctx, site.Partitions())
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	defer func() { err = errors.Join(err, plot.Clear()) }()
	logs, err := os.MkdirTemp(b.Logs, "taker-")
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	t, err := start(ctx, arm.Env{Plot: plot, Brokers: b.Site.Brokers, Bin: b.Bin, Logs: logs})
	if err != nil {
		return 0, fmt.Errorf("start %s: %w", name, err)
	}
	perSecond, err = take(ctx, t, o)
	if stopErr := t.Stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return perSecond, nil
}

func take(ctx context.Context, t *arm.Taker, o Options) (float64, error) {
	placed, n := 0, warmOrders
	var rate float64
	for range 3 { // twice to warm up
		got, err := load.Closed(ctx, t.Target(o.sku()), o.Clients, placed, n)
		if err != nil {
			return 0, err
		}
		placed += n
		rate = got.Rate()
		if err := t.Analyze(ctx); err != nil {
			return 0, err
		}
		n = o.orders(rate)
	}
	return rate, t.Check(ctx, placed)
}
