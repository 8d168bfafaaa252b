package results_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/results"
	"pasdetrois/bench/stats"
	"pasdetrois/bench/trial"
)

func loop(round int, arm string, settled, cpu float64) results.Round {
	return results.Round{Round: round, Arm: arm, Saturation: trial.Saturation{Settled: settled, Cost: trial.Cost{CPUMicros: map[string]float64{
		"orders": cpu / 2, trial.Postgres: cpu / 4, trial.Kafka: cpu / 4, trial.Load: 1000}}}}
}

// good are results that just meet every goal.
func good() *results.Results {
	r := &results.Results{}
	for round := 1; round <= 3; round++ {
		speed := float64(round) // the machine is not equally fast in every round
		r.Rounds = append(r.Rounds, loop(round, results.Pas, 1000*speed, 250), loop(round, results.Idiomatic, 250*speed, 1000),
			loop(round, results.Python, 100*speed, 3000), loop(round, results.OneProduct, 900*speed, 250), loop(round, results.Replicas, 1000*speed, 300))
		for name, v := range map[string]float64{results.PgbenchSingle: 1000, results.PgbenchMany: 666, results.NoOp: 10_000, results.Ingest: 4000,
			results.Transaction: 1000, results.RelayMemory: 30_000, results.RelayRecovery: 10_000, results.Forwarder: 1000,
			results.Lanes: 50_000, results.StockConsumer: 1000} {
			r.Add(name, round, v*speed)
		}
		r.Add(results.Hop, round, 1)
		r.Add(results.Commit, round, 1) // the floor is 4 + 6 ms
		r.Add(results.Coalescing, round, 100)
		r.Latency = append(r.Latency, results.Loaded{Arm: results.Pas, Round: round, Share: 0.01, Emails: stats.Latency{P50: 10, P99: 20}},
			results.Loaded{Arm: results.Pas, Round: round, Share: 0.5, Emails: stats.Latency{P50: 15, P99: 75}})
	}
	r.Add(results.Oversold, 1, 0)
	r.Add(results.RelayAck99, 1, 5)
	r.Add(results.OpenTransaction, 0, 0.9501)
	return r
}

func verdicts(r *results.Results) map[string]string {
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
		require.Equal(t, results.Met, verdict, "%s: %v", name, r.Goals)
	}
	require.Len(t, r.Goals, 7)
	floor, ok := r.Floor()
	require.True(t, ok)
	require.InDelta(t, 10, floor, 1e-9)
}

// Each figure that is a little worse misses its goal, and no other one.
func TestEveryFigureCounts(t *testing.T) {
	t.Parallel()
	figure := func(name string, times float64) func(*results.Results) {
		return func(r *results.Results) {
			for i := range r.Figures {
				if r.Figures[i].Name == name {
					r.Figures[i].Value *= times
				}
			}
		}
	}
	arm := func(name string, settled, cpu float64) func(*results.Results) {
		return func(r *results.Results) {
			for i := range r.Rounds {
				if r.Rounds[i].Arm == name {
					r.Rounds[i].Settled *= settled
					r.Rounds[i].CPUMicros[trial.Postgres] *= cpu
				}
			}
		}
	}
	at := func(share float64, change func(*stats.Latency)) func(*results.Results) {
		return func(r *results.Results) {
			for i := range r.Latency {
				if r.Latency[i].Share == share {
					change(&r.Latency[i].Emails)
				}
			}
		}
	}
	for name, c := range map[string]struct {
		goal  string
		worse func(*results.Results)
	}{
		"pgbench single":      {"G1", figure(results.PgbenchSingle, 1.01)},
		"pgbench many":        {"G1", figure(results.PgbenchMany, 1.01)},
		"idiomatic is faster": {"G2", arm(results.Idiomatic, 1.01, 1)},
		"pas needs more CPU":  {"G2", arm(results.Pas, 1, 1.05)},
		"python is faster":    {"G2", arm(results.Python, 1.01, 1)},
		"p50":                 {"G3", at(0.5, func(l *stats.Latency) { l.P50 = 15.1 })},
		"p99 to p50":          {"G3", at(0.5, func(l *stats.Latency) { l.P99 = 76 })},
		"p99":                 {"G3", at(0.5, func(l *stats.Latency) { l.P50, l.P99 = 15, 101 })},
		"coalescing":          {"G3", figure(results.Coalescing, 1.01)},
		"no-op":               {"G4", figure(results.NoOp, 1.01)},
		"transactions":        {"G4", figure(results.Transaction, 1.01)},
		"one product":         {"G5", arm(results.OneProduct, 0.99, 1)},
		"oversold":            {"G5", func(r *results.Results) { r.Add(results.Oversold, 2, 1) }},
		"recovery":            {"G6", figure(results.RelayRecovery, 0.99)},
		"memory":              {"G6", figure(results.RelayMemory, 0.1)},
		"acknowledgement":     {"G6", figure(results.RelayAck99, 1.01)},
		"open transaction":    {"G6", figure(results.OpenTransaction, 0.99)},
		"two replicas":        {"G7", arm(results.Replicas, 0.99, 1)},
		"one partition":       {"G7", figure(results.Lanes, 0.99)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good()
			c.worse(r)
			for goal, verdict := range verdicts(r) {
				want := results.Met
				if goal == c.goal {
					want = results.Missed
				}
				require.Equal(t, want, verdict, goal)
			}
		})
	}
}

// What a form leaves out is not measured, neither met nor missed; one figure missed is enough all the same.
func TestWhatIsNotMeasured(t *testing.T) {
	t.Parallel()
	empty := &results.Results{}
	for name, verdict := range verdicts(empty) {
		require.Equal(t, results.NotMeasured, verdict, name)
	}
	r := good()
	r.Figures = r.Figures[:len(r.Figures)-1] // without the open transaction
	require.Equal(t, results.NotMeasured, verdicts(r)["G6"])
	r.Figures[len(r.Figures)-1].Value = 6 // the acknowledgement
	require.Equal(t, results.Missed, verdicts(r)["G6"])
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
	r := &results.Results{Rounds: []results.Round{loop(1, results.Pas, 100, 1), loop(2, results.Pas, 1000, 1), loop(3, results.Pas, 10, 1)}}
	r.Add(results.PgbenchSingle, 1, 50)
	r.Add(results.PgbenchSingle, 2, 500)
	r.Add(results.PgbenchSingle, 3, 5)
	r.Judge()
	require.InDelta(t, 2, r.Goals[0].Checks[0].Value, 1e-9)
}

func TestAtIsTheMedianOfTheRounds(t *testing.T) {
	t.Parallel()
	r := &results.Results{}
	for i, p50 := range []float64{30, 10, 20} {
		r.Latency = append(r.Latency, results.Loaded{Arm: results.Pas, Round: i, Share: 0.5, Emails: stats.Latency{P50: p50, P99: 100 - p50}})
	}
	l, ok := r.At(results.Pas, 0.5)
	require.True(t, ok)
	require.InDelta(t, 20, l.Emails.P50, 0)
	require.InDelta(t, 80, l.Emails.P99, 0)
	_, ok = r.At(results.Idiomatic, 0.5)
	require.False(t, ok)
	_, ok = r.At(results.Pas, 0.9)
	require.False(t, ok)
	require.Equal(t, []float64{0.5}, r.Shares(results.Pas))
}

func TestCostLeavesTheLoadGeneratorOut(t *testing.T) {
	t.Parallel()
	c := loop(1, results.Pas, 1, 100).Cost
	require.InDelta(t, 100, c.Whole(), 1e-9)
	require.InDelta(t, 50, c.Services(), 1e-9)
}
