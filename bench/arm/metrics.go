package arm

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Families are the metrics of one scrape, by name.
type Families map[string]*dto.MetricFamily

// scrape reads a program's metrics in the Prometheus text format.
func scrape(ctx context.Context, address string) (f Families, err error) {
	err = get(ctx, "http://"+address+"/metrics", func(answer *http.Response) error {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		f, err = parser.TextToMetricFamilies(answer.Body)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return f, nil
}

// value returns a counter or a gauge. With a label it is the one with that value of its first label. A missing
// metric is 0, like a counter before its first event.
func (f Families) value(name, label string) float64 {
	for _, m := range f[name].GetMetric() {
		if label == "" || len(m.Label) > 0 && m.Label[0].GetValue() == label {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return 0
}

// Histogram counts sizes in ranges. Prometheus's buckets are cumulative; these are not, so that histograms can
// be subtracted.
type Histogram struct {
	Bounds []float64 `json:"bounds"` // ascending; the infinite last one is written as the largest number, for JSON
	Counts []float64 `json:"counts"` // sizes up to the bound and above the bound before
	Sum    float64   `json:"sum"`
}

// Count returns the number of sizes.
func (h Histogram) Count() float64 {
	sum := 0.0
	for _, c := range h.Counts {
		sum += c
	}
	return sum
}

// Mean returns the mean size; it is 0 for an empty histogram.
func (h Histogram) Mean() float64 {
	if n := h.Count(); n > 0 {
		return h.Sum / n
	}
	return 0
}

// plus returns h plus sign times o. An empty histogram takes the bounds of o. h stays as it is.
func (h Histogram) plus(o Histogram, sign float64) Histogram {
	if len(h.Counts) == 0 {
		h = Histogram{Bounds: o.Bounds, Counts: make([]float64, len(o.Counts))}
	}
	sum := Histogram{Bounds: h.Bounds, Counts: slices.Clone(h.Counts), Sum: h.Sum + sign*o.Sum}
	for i := range min(len(sum.Counts), len(o.Counts)) {
		sum.Counts[i] += sign * o.Counts[i]
	}
	return sum
}

// histograms returns the histograms of a metric, by the value of their first label.
func (f Families) histograms(name string) map[string]Histogram {
	found := map[string]Histogram{}
	for _, m := range f[name].GetMetric() {
		h := Histogram{Sum: m.GetHistogram().GetSampleSum()}
		before := 0.0
		for _, b := range m.GetHistogram().GetBucket() {
			h.Bounds = append(h.Bounds, min(b.GetUpperBound(), math.MaxFloat64))
			h.Counts = append(h.Counts, float64(b.GetCumulativeCount())-before)
			before = float64(b.GetCumulativeCount())
		}
		found[m.Label[0].GetValue()] = h
	}
	return found
}

// scrapeAll reads the metrics of the product's programs, by name. Other arms have none.
func (r *Running) scrapeAll(ctx context.Context) (all map[string]Families, err error) {
	all = map[string]Families{}
	for name, address := range r.admin {
		if all[name], err = scrape(ctx, address); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// MarkBatches makes Batches count from now on. Counters only grow, so a loop is the difference of two scrapes.
func (r *Running) MarkBatches(ctx context.Context) (err error) {
	r.before, err = r.scrapeAll(ctx)
	return err
}

const batchSizes = "pasdetrois_batch_messages"

// Batches returns the sizes of the product's batches since MarkBatches, by event and summed over all replicas.
// It is nil for other arms.
func (r *Running) Batches(ctx context.Context) (map[string]Histogram, error) {
	now, err := r.scrapeAll(ctx)
	if err != nil || r.admin == nil {
		return nil, err
	}
	sizes := map[string]Histogram{}
	for program, families := range now {
		before := r.before[program].histograms(batchSizes)
		for event, h := range families.histograms(batchSizes) {
			sizes[event] = sizes[event].plus(h.plus(before[event], -1), 1)
		}
	}
	return sizes, nil
}

// Goroutines returns the number of goroutines of each program of the product.
func (r *Running) Goroutines(ctx context.Context) (map[string]int, error) {
	now, err := r.scrapeAll(ctx)
	found := map[string]int{}
	for program, families := range now {
		found[program] = int(families.value("go_goroutines", ""))
	}
	return found, err
}
