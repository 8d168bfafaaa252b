package trial

import (
	"context"
	"fmt"
	"time"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/load"
	"pasdetrois/bench/process"
	"pasdetrois/bench/stats"
)

// Open is an open loop's outcome.
type Open struct {
	Emails  stats.Latency // from when an order was due until its email was emitted
	Answers stats.Latency
	Refused int
	Batches map[string]arm.Histogram
	Steps   []arm.Step
	Load    float64
	Cost
}

// openClients returns how many connections an open loop has: more than are ever busy unless the arm falls behind, and few
// enough for none to be idle for long.
func openClients(rate float64) int { return min(256, max(8, int(rate/2))) }

// OpenLoop places n orders at a rate on an arm that has got placed orders before, and waits for their emails.
func (b *Bench) OpenLoop(ctx context.Context, r arm.Running, o Options, placed, n int, rate float64) (out Open, err error) {
	pas, _ := r.(*arm.RunningPas)
	if pas != nil {
		if err := pas.MarkBatches(ctx); err != nil {
			return out, err
		}
	}
	before := b.usage(r)
	got, err := load.Open(ctx, r.Target(o.sku()), openClients(rate), placed, n, rate)
	if err != nil {
		return out, err
	}
	if err := arm.AwaitEmails(ctx, r, placed+n, 50*time.Millisecond, patience); err != nil {
		return out, err
	}
	out = Open{Answers: stats.Latencies(got.Answers), Refused: got.Refused, Load: process.Load(), Cost: costOf(before, b.usage(r), n)}
	if pas != nil {
		if out.Batches, err = pas.Batches(ctx); err != nil {
			return out, err
		}
	}
	if _, err := lastEmail(ctx, r, placed+n); err != nil { // all of them are written down now
		return out, err
	}
	if pas != nil {
		if out.Steps, err = pas.Steps(ctx, got.First); err != nil {
			return out, err
		}
	}
	sent, err := r.SentAt(ctx)
	if err != nil {
		return out, err
	}
	times := make([]time.Duration, n)
	for i := range n {
		at, ok := sent[arm.User(placed+i)]
		if !ok {
			return out, fmt.Errorf("the email of order %d is not written down", placed+i)
		}
		times[i] = at.Sub(got.Intended[i])
	}
	out.Emails = stats.Latencies(times)
	return out, nil
}
