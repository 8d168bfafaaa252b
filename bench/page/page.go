// Package page tells what a run found: as text for the terminal, and as the generated parts of docs/performance.md with
// its plots.
package page

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pasdetrois/bench/plot"
	"pasdetrois/bench/results"
	"pasdetrois/bench/stats"
	"pasdetrois/bench/trial"
)

// table is rows of cells; the first row is the heading.
type table [][]string

// Text returns the tables for a terminal.
func Text(r *results.Results) string {
	var out strings.Builder
	if !r.Real {
		out.WriteString("NOT ON A REAL KAFKA: no figure counts\n\n")
	}
	for _, t := range []table{arms(r), figures(r), latencies(r), steps(r), soaked(r)} {
		if len(t) > 1 {
			out.WriteString(t.text() + "\n")
		}
	}
	for _, line := range missing(r) {
		out.WriteString("no number for " + line + "\n")
	}
	return out.String()
}

// missing tells what has no number, and why, each reason once.
func missing(r *results.Results) []string {
	var reasons []string
	of := map[string][]string{}
	for _, m := range r.Missing {
		if !slices.Contains(reasons, m.Why) {
			reasons = append(reasons, m.Why)
		}
		what := m.What
		if m.Round > 0 {
			what = fmt.Sprintf("%s (round %d)", what, m.Round)
		}
		of[m.Why] = append(of[m.Why], what)
	}
	lines := make([]string, len(reasons))
	for i, why := range reasons {
		lines[i] = strings.Join(of[why], "; ") + ": " + why
	}
	return lines
}

// arms is the table of the closed loops.
func arms(r *results.Results) table {
	t := table{{"arm", "orders/s, median", "min", "max", "rounds", "CPU/order, us", "of it services", "postgres", "kafka", "largest MiB", "batch, mean"}}
	for _, name := range r.Arms() {
		s := results.Summary(r.Of(name, results.Settled))
		of := func(what func(trial.Saturation) float64) string { return cell(r.Of(name, what)) }
		t = append(t, []string{name, plot.Number(s.Median), plot.Number(s.Min), plot.Number(s.Max), fmt.Sprint(s.N),
			of(results.Whole), of(trial.Saturation.Services), of(cpuOf(trial.Postgres)), of(cpuOf(trial.Kafka)), of(largest), of(batch)})
	}
	return t
}

func cpuOf(program string) func(trial.Saturation) float64 {
	return func(s trial.Saturation) float64 { return s.CPUMicros[program] }
}

func largest(s trial.Saturation) float64 {
	most := 0.0
	for _, mib := range s.PeakMiB {
		most = max(most, mib)
	}
	return most
}

// batch is the mean size of a batch over all events.
func batch(s trial.Saturation) float64 {
	count, sum := 0.0, 0.0
	for _, h := range s.Batches {
		count += h.Count()
		sum += h.Sum
	}
	mean, _ := stats.Ratio(sum, count)
	return mean
}

func cell(of map[int]float64) string {
	if v, ok := results.Median(of); ok && v > 0 {
		return plot.Number(v)
	}
	return "-"
}

// processes is the table of what each program spent on an order.
func processes(r *results.Results) table {
	t := table{{"arm", "program", "CPU/order, us", "peak MiB"}}
	for _, name := range r.Arms() {
		programs := map[string]bool{}
		for _, round := range r.Rounds {
			if round.Arm == name {
				for program := range round.CPUMicros {
					programs[program] = true
				}
			}
		}
		for _, program := range slices.Sorted(maps.Keys(programs)) {
			t = append(t, []string{name, program, cell(r.Of(name, cpuOf(program))),
				cell(r.Of(name, func(s trial.Saturation) float64 { return s.PeakMiB[program] }))})
		}
	}
	return t
}

// figures is the table of limits and parts.
func figures(r *results.Results) table {
	t := table{{"limit or part", "median", "min", "max", "rounds"}}
	var names []string
	for _, f := range r.Figures {
		if !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	for _, name := range names {
		s := results.Summary(r.Figure(name))
		t = append(t, []string{name, plot.Number(s.Median), plot.Number(s.Min), plot.Number(s.Max), fmt.Sprint(s.N)})
	}
	return t
}

// latencies is the table of the open loops.
func latencies(r *results.Results) table {
	t := table{{"arm", "load", "orders/s", "email p50 ms", "p95", "p99", "max", "answer p50 ms", "p99", "batch, mean", "load average"}}
	for _, name := range []string{results.Pas, results.Idiomatic, results.Python} {
		for _, share := range r.Shares(name) {
			l, _ := r.At(name, share)
			row := []string{name, fmt.Sprintf("%.0f %%", 100*share)}
			for _, v := range []float64{l.Rate, l.Emails.P50, l.Emails.P95, l.Emails.P99, l.Emails.Max, l.Answers.P50, l.Answers.P99,
				batch(trial.Saturation{Batches: l.Batches}), l.Load} {
				row = append(row, plot.Number(v))
			}
			t = append(t, row)
		}
	}
	return t
}

// steps is the table of where an order's time goes, at each load.
func steps(r *results.Results) table {
	head := []string{"p50 ms of each step"}
	var names []string
	at := map[string][]string{}
	for _, share := range r.Shares(results.Pas) {
		l, _ := r.At(results.Pas, share)
		head = append(head, fmt.Sprintf("%.0f %%", 100*share))
		for _, s := range l.Steps {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
			at[s.Name] = append(at[s.Name], plot.Number(s.P50))
		}
	}
	t := table{head}
	for _, name := range names {
		t = append(t, append([]string{name}, at[name]...))
	}
	return t
}

// batches is the table of how large batches were, by event, at saturation and at each load.
func batches(r *results.Results) table {
	type column struct {
		name string
		mean map[string]float64
	}
	var columns []column
	events := map[string]bool{}
	for _, share := range r.Shares(results.Pas) {
		l, _ := r.At(results.Pas, share)
		c := column{fmt.Sprintf("%.0f %%", 100*share), map[string]float64{}}
		for event, h := range l.Batches {
			c.mean[event], events[event] = h.Mean(), true
		}
		columns = append(columns, c)
	}
	saturated := column{"saturation", map[string]float64{}}
	for _, round := range r.Rounds {
		if round.Arm == results.Pas {
			for event := range round.Batches {
				events[event] = true
				saturated.mean[event], _ = results.Median(r.Of(results.Pas, func(s trial.Saturation) float64 { return s.Batches[event].Mean() }))
			}
		}
	}
	columns = append(columns, saturated)
	head := []string{"event"}
	for _, c := range columns {
		head = append(head, c.name)
	}
	t := table{head}
	for _, event := range slices.Sorted(maps.Keys(events)) {
		row := []string{event}
		for _, c := range columns {
			row = append(row, plot.Number(c.mean[event]))
		}
		t = append(t, row)
	}
	return t
}

// soaked is the table of what the services held during the long run: in its first and in its last quarter.
func soaked(r *results.Results) table {
	t := table{{"service", "MiB, first quarter", "last quarter", "largest", "goroutines, first quarter", "last quarter"}}
	if len(r.Soak) == 0 {
		return t
	}
	quarter := max(1, len(r.Soak)/4)
	mean := func(samples []results.Sample, of func(results.Sample) float64) string {
		sum := 0.0
		for _, s := range samples {
			sum += of(s)
		}
		return plot.Number(sum / float64(len(samples)))
	}
	first, last := r.Soak[:quarter], r.Soak[len(r.Soak)-quarter:]
	for _, name := range slices.Sorted(maps.Keys(r.Soak[0].MiB)) {
		mib := func(s results.Sample) float64 { return s.MiB[name] }
		goroutines := func(s results.Sample) float64 { return float64(s.Goroutines[name]) }
		most := 0.0
		for _, s := range r.Soak {
			most = max(most, mib(s))
		}
		t = append(t, []string{name, mean(first, mib), mean(last, mib), plot.Number(most), mean(first, goroutines), mean(last, goroutines)})
	}
	return t
}

// text aligns a table's columns: the first to the left, the others to the right.
func (t table) text() string {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, c := range row {
			widths[i] = max(widths[i], len(c))
		}
	}
	var out strings.Builder
	for _, row := range t {
		for i, c := range row {
			switch {
			case i == 0:
				fmt.Fprintf(&out, "%-*s", widths[i], c)
			default:
				fmt.Fprintf(&out, "  %*s", widths[i], c)
			}
		}
		out.WriteString("\n")
	}
	return out.String()
}

func (t table) markdown() string {
	var out strings.Builder
	for i, row := range t {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&out, "|---%s|\n", strings.Repeat("|---:", len(row)-1))
		}
	}
	return out.String()
}
