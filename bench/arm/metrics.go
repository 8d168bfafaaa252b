package arm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// metrics are the samples of one scrape, by name and labels as they stand there.
type metrics map[string]float64

func scrape(ctx context.Context, address string) (metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics: answered %d", answer.StatusCode)
	}
	return parseMetrics(answer.Body)
}

func parseMetrics(in io.Reader) (metrics, error) {
	m := metrics{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %q: %w", line, err)
		}
		m[line[:end]] = v
	}
	return m, lines.Err()
}

func (m metrics) value(name string) float64 { return m[name] }

// Histogram counts sizes: how many were at most so large.
type Histogram struct {
	Bounds []float64 `json:"bounds"` // ascending; the last one is infinite in effect, and written as the largest number
	Counts []float64 `json:"counts"` // not more than the bound and more than the one before
	Sum    float64   `json:"sum"`
}

// Count returns how many sizes were counted.
func (h Histogram) Count() float64 {
	sum := 0.0
	for _, c := range h.Counts {
		sum += c
	}
	return sum
}

// Mean returns the mean size, 0 of none.
func (h Histogram) Mean() float64 {
	if n := h.Count(); n > 0 {
		return h.Sum / n
	}
	return 0
}

func (h Histogram) minus(o Histogram) Histogram { return h.combine(o, -1) }
func (h Histogram) plus(o Histogram) Histogram  { return h.combine(o, 1) }

func (h Histogram) combine(o Histogram, sign float64) Histogram {
	if len(o.Counts) == 0 {
		return h
	}
	if len(h.Counts) == 0 {
		h = Histogram{Bounds: o.Bounds, Counts: make([]float64, len(o.Counts))}
	}
	sum := Histogram{Bounds: h.Bounds, Counts: slices.Clone(h.Counts), Sum: h.Sum + sign*o.Sum}
	for i := range min(len(sum.Counts), len(o.Counts)) {
		sum.Counts[i] += sign * o.Counts[i]
	}
	return sum
}

// histograms returns the histograms of a name by the value of a label.
func (m metrics) histograms(name, label string) map[string]Histogram {
	type bucket struct{ bound, cumulated float64 }
	buckets := map[string][]bucket{}
	sums := map[string]float64{}
	for sample, v := range m {
		rest, ok := strings.CutPrefix(sample, name)
		if !ok {
			continue
		}
		of := labelOf(rest, label)
		switch {
		case strings.HasPrefix(rest, "_sum"):
			sums[of] = v
		case strings.HasPrefix(rest, "_bucket"):
			bound, err := strconv.ParseFloat(labelOf(rest, "le"), 64)
			if err != nil || math.IsInf(bound, 1) {
				bound = math.MaxFloat64
			}
			buckets[of] = append(buckets[of], bucket{bound, v})
		}
	}
	found := map[string]Histogram{}
	for of, all := range buckets {
		slices.SortFunc(all, func(a, b bucket) int {
			if a.bound < b.bound {
				return -1
			}
			return 1
		})
		h := Histogram{Sum: sums[of]}
		before := 0.0
		for _, b := range all {
			h.Bounds = append(h.Bounds, b.bound)
			h.Counts = append(h.Counts, b.cumulated-before)
			before = b.cumulated
		}
		found[of] = h
	}
	return found
}

func labelOf(labels, name string) string {
	_, after, ok := strings.Cut(labels, "{"+name+`="`)
	if !ok {
		_, after, ok = strings.Cut(labels, ","+name+`="`)
	}
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(after, `"`)
	return value
}
