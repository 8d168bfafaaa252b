package report_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/load"
	"pasdetrois/bench/report"
)

func loop(round int, name string, settled, cpu float64) report.Round {
	return report.Round{Round: round, Arm: name, Saturation: arm.Saturation{Settled: settled, Cost: arm.Cost{CPUMicros: map[string]float64{
		"orders": cpu / 2, arm.Postgres: cpu / 4, arm.Kafka: cpu / 4, arm.Load: 1000}}}}
}

// good are results that just meet every goal.
func good() *report.Results {
	r := &report.Results{}
	for round := 1; round <= 3; round++ {
		speed := float64(round) // the machine is not equally fast in every round
		r.Rounds = append(r.Rounds, loop(round, report.Pas, 1000*speed, 250), loop(round, report.Idiomatic, 250*speed, 1000),
			loop(round, report.Python, 100*speed, 3000), loop(round, report.OneProduct, 900*speed, 250), loop(round, report.Replicas, 1000*speed, 300))
		for name, v := range map[string]float64{report.PgbenchSingle: 1000, report.PgbenchMany: 666, report.NoOp: 10_000, report.Ingest: 4000,
			report.Transaction: 1000, report.RelayMemory: 30_000, report.RelayRecovery: 10_000, report.Forwarder: 1000,
			report.Lanes: 50_000, report.StockConsumer: 1000} {
			r.Add(name, round, v*speed)
		}
		r.Add(report.Hop, round, 1)
		r.Add(report.Commit, round, 1) // the floor is 4 + 6 ms
		r.Add(report.Coalescing, round, 100)
		r.Latency = append(r.Latency, report.Loaded{Arm: report.Pas, Round: round, Share: 0.01, Timed: arm.Timed{Emails: load.Latency{P50: 10, P99: 20}}},
			report.Loaded{Arm: report.Pas, Round: round, Share: 0.5, Timed: arm.Timed{Emails: load.Latency{P50: 15, P99: 75}}})
	}
	r.Add(report.Oversold, 1, 0)
	r.Add(report.RelayAck99, 1, 5)
	r.Add(report.OpenTransaction, 0, 0.9501)
	return r
}

func verdicts(r *report.Results) map[string]string {
	r.Judge()
	found := map[string]string{}
	for _, g := range r.Goals {
		found[g.Name] = g.Verdict
	}
	return found
}

func TestGoalsThatAreJustMet(t *testing.T) {
	t.Parallel()
	r := good()
	for name, verdict := range verdicts(r) {
		require.Equal(t, report.Met, verdict, "%s: %v", name, r.Goals)
	}
	require.Len(t, r.Goals, 7)
	floor, ok := r.Floor()
	require.True(t, ok)
	require.InDelta(t, 10, floor, 1e-9)
}

// Each figure that is a little worse misses its goal, and no other one.
func TestEveryFigureCounts(t *testing.T) {
	t.Parallel()
	figure := func(name string, times float64) func(*report.Results) {
		return func(r *report.Results) {
			for i := range r.Figures {
				if r.Figures[i].Name == name {
					r.Figures[i].Value *= times
				}
			}
		}
	}
	loops := func(name string, settled, cpu float64) func(*report.Results) {
		return func(r *report.Results) {
			for i := range r.Rounds {
				if r.Rounds[i].Arm == name {
					r.Rounds[i].Settled *= settled
					r.Rounds[i].CPUMicros[arm.Postgres] *= cpu
				}
			}
		}
	}
	at := func(share float64, change func(*load.Latency)) func(*report.Results) {
		return func(r *report.Results) {
			for i := range r.Latency {
				if r.Latency[i].Share == share {
					change(&r.Latency[i].Emails)
				}
			}
		}
	}
	for name, c := range map[string]struct {
		goal  string
		worse func(*report.Results)
	}{
		"pgbench single":      {"G1", figure(report.PgbenchSingle, 1.01)},
		"pgbench many":        {"G1", figure(report.PgbenchMany, 1.01)},
		"idiomatic is faster": {"G2", loops(report.Idiomatic, 1.01, 1)},
		"pas needs more CPU":  {"G2", loops(report.Pas, 1, 1.05)},
		"python is faster":    {"G2", loops(report.Python, 1.01, 1)},
		"p50":                 {"G3", at(0.5, func(l *load.Latency) { l.P50 = 15.1 })},
		"p99 to p50":          {"G3", at(0.5, func(l *load.Latency) { l.P99 = 76 })},
		"p99":                 {"G3", at(0.5, func(l *load.Latency) { l.P50, l.P99 = 15, 101 })},
		"coalescing":          {"G3", figure(report.Coalescing, 1.01)},
		"no-op":               {"G4", figure(report.NoOp, 1.01)},
		"transactions":        {"G4", figure(report.Transaction, 1.01)},
		"one product":         {"G5", loops(report.OneProduct, 0.99, 1)},
		"oversold":            {"G5", func(r *report.Results) { r.Add(report.Oversold, 2, 1) }},
		"recovery":            {"G6", figure(report.RelayRecovery, 0.99)},
		"memory":              {"G6", figure(report.RelayMemory, 0.1)},
		"acknowledgement":     {"G6", figure(report.RelayAck99, 1.01)},
		"open transaction":    {"G6", figure(report.OpenTransaction, 0.99)},
		"two replicas":        {"G7", loops(report.Replicas, 0.99, 1)},
		"one partition":       {"G7", figure(report.Lanes, 0.99)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good()
			c.worse(r)
			for goal, verdict := range verdicts(r) {
				want := report.Met
				if goal == c.goal {
					want = report.Missed
				}
				require.Equal(t, want, verdict, goal)
			}
		})
	}
}

// What a form leaves out is not measured, neither met nor missed; one figure missed is enough all the same.
func TestWhatIsNotMeasured(t *testing.T) {
	t.Parallel()
	empty := &report.Results{}
	for name, verdict := range verdicts(empty) {
		require.Equal(t, report.NotMeasured, verdict, name)
	}
	r := good()
	r.Figures = r.Figures[:len(r.Figures)-1] // without the open transaction
	require.Equal(t, report.NotMeasured, verdicts(r)["G6"])
	r.Figures[len(r.Figures)-1].Value = 6 // the acknowledgement
	require.Equal(t, report.Missed, verdicts(r)["G6"])
}

func TestAGoalIsOneLine(t *testing.T) {
	t.Parallel()
	r := good()
	r.Figures = r.Figures[:len(r.Figures)-1]
	r.Judge()
	for _, g := range r.Goals {
		require.NotContains(t, g.Line(), "\n")
		require.True(t, strings.HasPrefix(g.Line(), g.Name+" "+g.Verdict+": "), g.Line())
	}
	require.Equal(t, "G1 met: pas to pgbench with single statements: 1x (>= 1x, met); to pgbench with many statements: 1.502x (>= 1.5x, met)", r.Goals[0].Line())
	require.Contains(t, r.Goals[5].Line(), "a 10-minute open transaction costs: not measured (<= 5 %)")
}

// The ratio is taken within each round, then the median: a slow minute hits both sides of it.
func TestRatiosAreTakenWithinARound(t *testing.T) {
	t.Parallel()
	r := &report.Results{Rounds: []report.Round{loop(1, report.Pas, 100, 1), loop(2, report.Pas, 1000, 1), loop(3, report.Pas, 10, 1)}}
	r.Add(report.PgbenchSingle, 1, 50)
	r.Add(report.PgbenchSingle, 2, 500)
	r.Add(report.PgbenchSingle, 3, 5)
	r.Judge()
	require.InDelta(t, 2, r.Goals[0].Checks[0].Value, 1e-9)
}

func TestAtIsTheMedianOfTheRounds(t *testing.T) {
	t.Parallel()
	r := &report.Results{}
	for i, p50 := range []float64{30, 10, 20} {
		r.Latency = append(r.Latency, report.Loaded{Arm: report.Pas, Round: i, Share: 0.5, Timed: arm.Timed{Emails: load.Latency{P50: p50, P99: 100 - p50}}})
	}
	l, ok := r.At(report.Pas, 0.5)
	require.True(t, ok)
	require.InDelta(t, 20, l.Emails.P50, 0)
	require.InDelta(t, 80, l.Emails.P99, 0)
	_, ok = r.At(report.Idiomatic, 0.5)
	require.False(t, ok)
	_, ok = r.At(report.Pas, 0.9)
	require.False(t, ok)
	require.Equal(t, []float64{0.5}, r.Shares(report.Pas))
}

func TestCostLeavesTheLoadGeneratorOut(t *testing.T) {
	t.Parallel()
	c := loop(1, report.Pas, 1, 100).Cost
	require.InDelta(t, 100, c.Whole(), 1e-9)
	require.InDelta(t, 50, c.Services(), 1e-9)
}

// against are results of two revisions that are just within the tolerance.
func against() *report.Results {
	r := &report.Results{Against: report.ProductAt("abc")}
	for round := 1; round <= 3; round++ {
		speed := float64(round)
		r.Rounds = append(r.Rounds, loop(round, report.Pas, 951*speed, 104/speed), loop(round, r.Against, 1000*speed, 100/speed))
		for _, rate := range report.FixedRates() {
			for name, cpu := range map[string]float64{report.Pas: 104, r.Against: 100} {
				r.Rates = append(r.Rates, report.Loaded{Arm: name, Round: round, Rate: rate, Timed: arm.Timed{
					Emails: load.Latency{P50: 7.5, P99: 22.5}, Cost: arm.Cost{CPUMicros: map[string]float64{"orders": cpu / speed}}}})
			}
		}
	}
	return r
}

func TestARevisionIsComparedWithinRounds(t *testing.T) {
	t.Parallel()
	r := against()
	require.Equal(t, map[string]string{"pas to pas@abc": report.Met}, verdicts(r))
	require.Len(t, r.Goals[0].Checks, 2+len(report.FixedRates()))
	for _, c := range r.Goals[0].Checks[1:] {
		require.InDelta(t, 1.04, c.Value, 1e-9, c.What)
	}
	text := report.Text(r)
	require.Regexp(t, `pas@abc +50 +7.50 +22.5 `, text)
	require.Regexp(t, `pas +300 +7.50 +22.5 `, text)

	for name, worse := range map[string]func(r *report.Results){
		"fewer orders": func(r *report.Results) { r.Rounds[0].Settled, r.Rounds[2].Settled = 1, 1 },
		"more CPU":     func(r *report.Results) { r.Rounds[0].CPUMicros["orders"], r.Rounds[2].CPUMicros["orders"] = 900, 900 },
		"more CPU at one rate": func(r *report.Results) {
			for _, l := range r.Rates {
				if l.Arm == report.Pas && l.Rate == 100 {
					l.CPUMicros["orders"] *= 1.02
				}
			}
		},
	} {
		r := against()
		worse(r)
		require.Equal(t, map[string]string{"pas to pas@abc": report.Missed}, verdicts(r), name)
	}
	r = against()
	r.Rates = nil
	require.Equal(t, map[string]string{"pas to pas@abc": report.NotMeasured}, verdicts(r))
}
