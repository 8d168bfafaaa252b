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
	"pasdetrois/bench/trial"
)

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
		"latency": latencies(r).markdown(), "steps": steps(r).markdown(), "batches": batches(r).markdown(), "goals": goals(r), "soak": soaked(r).markdown(), "million": million(r),
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

// stolen tells what a virtual machine did not get; nothing where that is 0 or not told.
func stolen(h results.Host) string {
	if h.Stolen == 0 {
		return ""
	}
	return fmt.Sprintf(" The hypervisor gave %.1f %% of the processors' time to other machines.", h.Stolen)
}

// run tells what was measured, where and when.
func run(r *results.Results) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured on %s, %s form, %.0f minutes, %d CPUs shared by everything, %s. Load average %.1f before, %.1f after.%s\n",
		r.Date.UTC().Format("2006-01-02 15:04 UTC"), r.Form, r.Seconds/60, r.Host.CPUs, r.Host.System, r.Host.Before, r.Host.After, stolen(r.Host))
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
