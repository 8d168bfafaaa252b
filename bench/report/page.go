package report

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pasdetrois/bench/arm"
)

// Text returns the tables for a terminal. Tables without rows are left out.
func Text(r *Results) string {
	var out strings.Builder
	if !r.Real {
		out.WriteString("NOT ON A REAL KAFKA: no figure counts\n\n")
	}
	for _, t := range []table{arms(r), figures(r), latencies(r), steps(r), soaked(r), rates(r)} {
		if len(t) > 1 {
			out.WriteString(t.text() + "\n")
		}
	}
	for _, line := range missing(r) {
		out.WriteString("no number for " + line + "\n")
	}
	return out.String()
}

// missing returns the reasons for missing numbers, one line each, with all measurements that share the reason.
func missing(r *Results) (lines []string) {
	var reasons []string
	of := map[string][]string{}
	for _, m := range r.Missing {
		if of[m.Why] == nil {
			reasons = append(reasons, m.Why)
		}
		what := m.What
		if m.Round > 0 {
			what = fmt.Sprintf("%s (round %d)", what, m.Round)
		}
		of[m.Why] = append(of[m.Why], what)
	}
	for _, why := range reasons {
		lines = append(lines, strings.Join(of[why], "; ")+": "+why)
	}
	return lines
}

// Update rewrites the generated parts of performance.md in a folder. All parts must be there, or the file stays
// as it is.
func Update(docs string, r *Results) error {
	name := filepath.Join(docs, "performance.md")
	content, err := os.ReadFile(name)
	text := string(content)
	for part, generated := range map[string]string{
		"run": run(r), "arms": arms(r).markdown(), "programs": programs(r).markdown(), "figures": figures(r).markdown(),
		"latency": latencies(r).markdown(), "steps": steps(r).markdown(), "batches": batches(r).markdown(), "goals": goals(r),
		"soak": soaked(r).markdown(), "million": million(r),
	} {
		if err == nil {
			text, err = replace(text, part, generated)
		}
	}
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o644)
	}
	if err != nil {
		return fmt.Errorf("update %s: %w", name, err)
	}
	return nil
}

// replace replaces the text between the marks of a part: a line "<!-- bench: part -->" and the next "<!-- end
// -->".
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

// run returns the paragraph about the run: when, where, how long, which versions, and the missing numbers.
func run(r *Results) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured on %s, %s form, %.0f minutes, %d CPUs shared by everything, %s. Load average %.1f before, %.1f after.",
		r.Date.UTC().Format("2006-01-02 15:04 UTC"), r.Form, r.Seconds/60, r.Host.CPUs, r.Host.System, r.Host.Before, r.Host.After)
	if r.Host.Stolen > 0 {
		fmt.Fprintf(&out, " The hypervisor gave %.1f %% of the processors' time to other machines.", r.Host.Stolen)
	}
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, name+" "+r.Versions[name])
	}
	fmt.Fprintf(&out, "\nVersions: %s. Closed loops with %d clients.\n", strings.Join(versions, ", "), r.Clients)
	if !r.Real {
		out.WriteString("\n**Not on a real Kafka: no figure counts.**\n")
	}
	for _, line := range missing(r) {
		out.WriteString("\nNo number for " + line + "\n")
	}
	return out.String()
}

// goals is the table of the goals. Its cells are text, so all columns are aligned to the left.
func goals(r *Results) string {
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

// messagesOfAnOrder is the number of messages on an order's way from its POST to its email.
const messagesOfAnOrder = 4

// million extrapolates the cost of an order to a million messages per second. It assumes that the processor
// time per order stays the same; it is an estimate of the size, and no measurement.
func million(r *Results) string {
	const orders = 1e6 / messagesOfAnOrder
	t := table{{"program", "CPU/order, us", "processors for a million messages a second"}}
	add := func(name string, value func(arm.Saturation) float64) {
		if us, ok := Median(r.Of(Pas, value)); ok && us > 0 {
			t = append(t, []string{name, digits(us), fmt.Sprintf("%.0f", orders*us/1e6)})
		}
	}
	for _, name := range append(arm.Services(), arm.Postgres, arm.Kafka) {
		add(name, cpuOf(name))
	}
	add("all", Whole)
	return fmt.Sprintf("An order is %d messages, so a million messages a second are %s orders a second.\n\n%s",
		messagesOfAnOrder, digits(orders), t.markdown())
}
