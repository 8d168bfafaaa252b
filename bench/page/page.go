// Package page tells what a run found: as text for the terminal, and as the generated parts of docs/performance.md with
// its plots.
package page

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pasdetrois/bench/arm"
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
	for _, t := range []table{arms(r), figures(r), latencies(r), steps(r)} {
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

// messagesOfAnOrder is how many messages carry an order from its POST to its email.
const messagesOfAnOrder = 4

// million is the arithmetic from the cost of an order to a million messages a second.
func million(r *results.Results) string {
	const orders = 1e6 / messagesOfAnOrder
	t := table{{"program", "CPU/order, us", "processors for a million messages a second"}}
	add := func(name string, us float64, measured bool) {
		if measured && us > 0 {
			t = append(t, []string{name, plot.Number(us), fmt.Sprintf("%.0f", orders*us/1e6)})
		}
	}
	for _, name := range append(arm.Services(), trial.Postgres, trial.Kafka) {
		us, ok := results.Median(r.Of(results.Pas, cpuOf(name)))
		add(name, us, ok)
	}
	us, ok := results.Median(r.Of(results.Pas, results.Whole))
	add("all", us, ok)
	return fmt.Sprintf("An order is %d messages, so a million messages a second are %s orders a second.\n\n%s",
		messagesOfAnOrder, plot.Number(orders), t.markdown())
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

// Update writes the generated parts of performance.md in a folder anew, and its plots.
func Update(docs string, r *results.Results) error {
	name := filepath.Join(docs, "performance.md")
	content, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("update the documentation: %w", err)
	}
	text := string(content)
	for part, generated := range map[string]string{
		"run": run(r), "arms": arms(r).markdown(), "programs": processes(r).markdown(), "figures": figures(r).markdown(),
		"latency": latencies(r).markdown(), "steps": steps(r).markdown(), "batches": batches(r).markdown(), "goals": goals(r), "million": million(r),
	} {
		if text, err = replace(text, part, generated); err != nil {
			return fmt.Errorf("update %s: %w", name, err)
		}
	}
	images := filepath.Join(docs, "img")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return fmt.Errorf("update the documentation: %w", err)
	}
	for file, svg := range plots(r) {
		if err := os.WriteFile(filepath.Join(images, file), []byte(svg), 0o644); err != nil {
			return fmt.Errorf("update the documentation: %w", err)
		}
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		return fmt.Errorf("update the documentation: %w", err)
	}
	return nil
}

// replace puts text between the marks of a part.
func replace(page, part, text string) (string, error) {
	begin, end := "<!-- bench: "+part+" -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(page, begin)
	if !ok {
		return "", fmt.Errorf("there is no line %q", strings.TrimSpace(begin))
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("the part %s has no end", part)
	}
	return before + begin + text + end + after, nil
}

// run tells what was measured, where and when.
func run(r *results.Results) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured on %s, %s form, %.0f minutes, %d CPUs shared by everything, %s. Load average %.1f before, %.1f after.\n",
		r.Date.UTC().Format("2006-01-02 15:04 UTC"), r.Form, r.Seconds/60, r.Host.CPUs, r.Host.System, r.Host.Before, r.Host.After)
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, name+" "+r.Versions[name])
	}
	fmt.Fprintf(&out, "Versions: %s. Closed loops with %d clients.\n", strings.Join(versions, ", "), r.Clients)
	if !r.Real {
		out.WriteString("\n**Not on a real Kafka: no figure counts.**\n")
	}
	for _, line := range missing(r) {
		out.WriteString("\nNo number for " + line + "\n")
	}
	return out.String()
}

func goals(r *results.Results) string {
	t := table{{"goal", "verdict", "figures"}}
	for _, g := range r.Goals {
		var checks []string
		for _, c := range g.Checks {
			checks = append(checks, c.String())
		}
		t = append(t, []string{g.Name, g.Verdict, strings.Join(checks, "<br>")})
	}
	return strings.ReplaceAll(t.markdown(), "---:", "---")
}

// plots returns the pictures by file name.
func plots(r *results.Results) map[string]string {
	var bars []plot.Bar
	for _, name := range r.Arms() {
		s := results.Summary(r.Of(name, results.Settled))
		bars = append(bars, plot.Bar{Label: name, Value: s.Median, Lowest: s.Min, Highest: s.Max})
	}
	var p50, p99, size []plot.Point
	for _, share := range r.Shares(results.Pas) {
		l, _ := r.At(results.Pas, share)
		p50 = append(p50, plot.Point{X: 100 * share, Y: l.Emails.P50})
		p99 = append(p99, plot.Point{X: 100 * share, Y: l.Emails.P99})
		size = append(size, plot.Point{X: 100 * share, Y: batch(trial.Saturation{Batches: l.Batches})})
	}
	if mean, ok := results.Median(r.Of(results.Pas, batch)); ok {
		size = append(size, plot.Point{X: 100, Y: mean})
	}
	const load = "load, % of saturation"
	return map[string]string{
		"throughput.svg": plot.Bars("Orders settled per second, median and range", "orders/s", bars),
		"latency.svg":    plot.Lines("POST to email", load, "ms", []plot.Series{{Name: "p50", Points: p50}, {Name: "p99", Points: p99}}),
		"batches.svg":    plot.Lines("Messages in a batch, mean", load, "messages", []plot.Series{{Name: "batch", Points: size}}),
	}
}
