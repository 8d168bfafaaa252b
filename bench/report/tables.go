package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"pasdetrois/bench/arm"
)

// table is rows of cells; the first row is the heading. All rows have the same length.
type table [][]string

// add adds a row: its first cells are texts, the others numbers.
func (t *table) add(texts []string, numbers ...float64) {
	for _, v := range numbers {
		texts = append(texts, digits(v))
	}
	*t = append(*t, texts)
}

// arms is the table of the closed loops, one row for each arm, with the median of its rounds.
func arms(r *Results) table {
	t := table{{"arm", "orders/s, median", "min", "max", "rounds", "CPU/order, us", "of it services", "postgres", "kafka", "largest MiB", "batch, mean"}}
	for _, name := range r.Arms() {
		s := Rounds(r.Of(name, Settled))
		row := []string{name, digits(s.Median), digits(s.Min), digits(s.Max), fmt.Sprint(s.N)}
		for _, value := range []func(arm.Saturation) float64{Whole, arm.Saturation.Services, cpuOf(arm.Postgres), cpuOf(arm.Kafka), largest, batchOfLoop} {
			row = append(row, cell(r.Of(name, value)))
		}
		t = append(t, row)
	}
	return t
}

// cpuOf returns the function for a program's processor time per order, in microseconds.
func cpuOf(program string) func(arm.Saturation) float64 {
	return func(s arm.Saturation) float64 { return s.CPUMicros[program] }
}

// peakOf returns the function for a program's peak memory, in MiB.
func peakOf(program string) func(arm.Saturation) float64 {
	return func(s arm.Saturation) float64 { return s.PeakMiB[program] }
}

// largest returns the peak memory of the largest program of an arm, in MiB.
func largest(s arm.Saturation) float64 {
	return slices.Max(append(slices.Collect(maps.Values(s.PeakMiB)), 0))
}

// batchOfLoop returns the mean batch of a closed loop; it is 0 for peers, which have no batches.
func batchOfLoop(s arm.Saturation) float64 { return batch(s.Batches) }

// batch returns the mean size of the batches of all events. Large batches under load show that coalescing
// works.
func batch(of map[string]arm.Histogram) float64 {
	count, sum := 0.0, 0.0
	for _, h := range of {
		count += h.Count()
		sum += h.Sum
	}
	mean, _ := Ratio(sum, count)
	return mean
}

// cell returns the median as text; a missing or zero value is "-".
func cell(of map[int]float64) string {
	if v, ok := Median(of); ok && v > 0 {
		return digits(v)
	}
	return "-"
}

// programs is the table of the cost per order of each program.
func programs(r *Results) table {
	t := table{{"arm", "program", "CPU/order, us", "peak MiB"}}
	for _, name := range r.Arms() {
		all := map[string]float64{}
		for _, round := range r.Rounds {
			if round.Arm == name {
				maps.Copy(all, round.CPUMicros)
			}
		}
		for _, program := range slices.Sorted(maps.Keys(all)) {
			t = append(t, []string{name, program, cell(r.Of(name, cpuOf(program))), cell(r.Of(name, peakOf(program)))})
		}
	}
	return t
}

// figures is the table of limits and parts, in the order of their first measurement.
func figures(r *Results) table {
	t := table{{"limit or part", "median", "min", "max", "rounds"}}
	seen := map[string]bool{}
	for _, f := range r.Figures {
		if !seen[f.Name] {
			s := Rounds(r.Figure(f.Name))
			t = append(t, []string{f.Name, digits(s.Median), digits(s.Min), digits(s.Max), fmt.Sprint(s.N)})
		}
		seen[f.Name] = true
	}
	return t
}

// latencies is the table of the open loops, by arm and share of saturation.
func latencies(r *Results) table {
	t := table{{"arm", "load", "orders/s", "email p50 ms", "p95", "p99", "max", "answer p50 ms", "p99", "batch, mean", "load average"}}
	for _, name := range []string{Pas, Idiomatic, Python} {
		for _, share := range r.Shares(name) {
			l, _ := r.At(name, share)
			t.add([]string{name, percent(share)}, l.Rate, l.Emails.P50, l.Emails.P95, l.Emails.P99, l.Emails.Max,
				l.Answers.P50, l.Answers.P99, batch(l.Batches), l.Load)
		}
	}
	return t
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// columns is a table with a column of numbers for each load. A row begins when its name first appears; its
// earlier cells are 0.
type columns struct {
	head  []string
	names []string
	cells map[string][]float64 // by the row's name
}

// column adds a column. Names without a row yet get one.
func (c *columns) column(head string, names []string, value func(name string) float64) {
	for _, name := range names {
		if !slices.Contains(c.names, name) {
			c.names = append(c.names, name)
		}
	}
	if c.cells == nil {
		c.cells = map[string][]float64{}
	}
	for _, name := range c.names {
		c.cells[name] = append(c.cells[name], make([]float64, len(c.head)-1-len(c.cells[name]))...)
		c.cells[name] = append(c.cells[name], value(name))
	}
	c.head = append(c.head, head)
}

// table returns the finished table, with one row for each name.
func (c *columns) table() table {
	t := table{c.head}
	for _, name := range c.names {
		t.add([]string{name}, c.cells[name]...)
	}
	return t
}

// steps is the table of the steps of an order, at each load.
func steps(r *Results) table {
	c := columns{head: []string{"p50 ms of each step"}}
	for _, share := range r.Shares(Pas) {
		l, _ := r.At(Pas, share)
		p50 := map[string]float64{}
		var names []string
		for _, s := range l.Steps {
			names, p50[s.Name] = append(names, s.Name), s.P50
		}
		c.column(percent(share), names, func(name string) float64 { return p50[name] })
	}
	return c.table()
}

// batches is the table of the mean size of batches, by event, at each load and at saturation.
func batches(r *Results) table {
	c := columns{head: []string{"event"}}
	events := func(of map[string]arm.Histogram) []string { return slices.Sorted(maps.Keys(of)) }
	for _, share := range r.Shares(Pas) {
		l, _ := r.At(Pas, share)
		c.column(percent(share), events(l.Batches), func(event string) float64 { return l.Batches[event].Mean() })
	}
	all := map[string]arm.Histogram{}
	for _, round := range r.Rounds {
		if round.Arm == Pas {
			maps.Copy(all, round.Batches)
		}
	}
	c.column("saturation", events(all), func(event string) float64 {
		mean, _ := Median(r.Of(Pas, func(s arm.Saturation) float64 { return s.Batches[event].Mean() }))
		return mean
	})
	slices.Sort(c.names)
	return c.table()
}

// soaked is the table of the services' memory and goroutines in the first and the last quarter of the soak. A
// leak shows as a difference between the two.
func soaked(r *Results) table {
	t := table{{"service", "MiB, first quarter", "last quarter", "largest", "goroutines, first quarter", "last quarter"}}
	if len(r.Soak) == 0 {
		return t
	}
	quarter := max(1, len(r.Soak)/4)
	first, last := r.Soak[:quarter], r.Soak[len(r.Soak)-quarter:]
	for _, name := range slices.Sorted(maps.Keys(r.Soak[0].MiB)) {
		mib := func(s Sample) float64 { return s.MiB[name] }
		goroutines := func(s Sample) float64 { return float64(s.Goroutines[name]) }
		largest := 0.0
		for _, s := range r.Soak {
			largest = max(largest, mib(s))
		}
		t.add([]string{name}, mean(first, mib), mean(last, mib), largest, mean(first, goroutines), mean(last, goroutines))
	}
	return t
}

// mean returns the mean of a value over samples, of which there must be one at least.
func mean(samples []Sample, of func(Sample) float64) float64 {
	sum := 0.0
	for _, s := range samples {
		sum += of(s)
	}
	return sum / float64(len(samples))
}

// text aligns the columns with spaces: the first to the left, the others to the right.
func (t table) text() string {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, c := range row {
			widths[i] = max(widths[i], len(c))
		}
	}
	var out strings.Builder
	for _, row := range t {
		fmt.Fprintf(&out, "%-*s", widths[0], row[0])
		for i, c := range row[1:] {
			fmt.Fprintf(&out, "  %*s", widths[i+1], c)
		}
		out.WriteString("\n")
	}
	return out.String()
}

// markdown writes the table for the page: the first column to the left, the others to the right.
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

// digits formats a number with about three digits, and with commas between thousands.
func digits(v float64) string {
	switch {
	case v >= 100 || v == math.Trunc(v):
		text := fmt.Sprintf("%.0f", v)
		for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
