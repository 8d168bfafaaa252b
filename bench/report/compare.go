package report

import (
	"fmt"
	"maps"
	"slices"
)

// tolerance is the share by which the product may be worse than the other revision. It covers the noise of the
// machine.
const tolerance = 0.05

// FixedRates returns the rates of the open loops that compare two revisions, in orders per second.
func FixedRates() []float64 { return []float64{50, 100, 200, 300} }

// atRate returns a value of an arm's open loops at a fixed rate, by round.
func (r *Results) atRate(name string, rate float64, value func(Loaded) float64) map[int]float64 {
	found := map[int]float64{}
	for _, l := range r.Rates {
		if l.Arm == name && l.Rate == rate {
			found[l.Round] = value(l)
		}
	}
	return found
}

// rates is the table of the open loops at fixed rates, with a column for each program's processor time.
func rates(r *Results) table {
	var all []string
	for _, l := range r.Rates {
		all = append(all, slices.Collect(maps.Keys(l.CPUMicros))...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	t := table{append([]string{"arm", "orders/s", "email p50 ms", "p99", "answer p50 ms", "p99", "CPU/order, us"}, all...)}
	for _, rate := range FixedRates() {
		for _, name := range []string{Pas, r.Against} {
			l, ok := medians(r.Rates, func(l Loaded) bool { return l.Arm == name && l.Rate == rate })
			if !ok {
				continue
			}
			numbers := []float64{rate, l.Emails.P50, l.Emails.P99, l.Answers.P50, l.Answers.P99}
			for _, value := range append([]func(Loaded) float64{wholeAt}, cpuAt(all)...) {
				v, _ := Median(r.atRate(name, rate, value))
				numbers = append(numbers, v)
			}
			t.add([]string{name}, numbers...)
		}
	}
	return t
}

func wholeAt(l Loaded) float64 { return l.Whole() }

// cpuAt returns, for each program, the function for its processor time per order.
func cpuAt(programs []string) (values []func(Loaded) float64) {
	for _, program := range programs {
		values = append(values, func(l Loaded) float64 { return l.CPUMicros[program] })
	}
	return values
}

// compare judges the product by the other revision, within rounds. It judges orders per second at saturation,
// and processor time per order at saturation and at each fixed rate. Latency has no limit, since it varies too
// much between rounds: the table of the rates shows it.
func (r *Results) compare() Goal {
	settled, ok := ratio(r.Of(Pas, Settled), r.Of(r.Against, Settled))
	whole, measured := ratio(r.Of(Pas, Whole), r.Of(r.Against, Whole))
	checks := []Check{atLeast("orders per second at saturation", 1-tolerance, "x", settled, ok),
		atMost("CPU per order at saturation", 1+tolerance, "x", whole, measured)}
	for _, rate := range FixedRates() {
		cpu, ok := ratio(r.atRate(Pas, rate, wholeAt), r.atRate(r.Against, rate, wholeAt))
		checks = append(checks, atMost(fmt.Sprintf("CPU per order at %.0f orders/s", rate), 1+tolerance, "x", cpu, ok))
	}
	return goal(Pas+" to "+r.Against, checks...)
}

// ProductAt returns the name of the arm that is the product of another revision.
func ProductAt(revision string) string { return Pas + "@" + revision }
