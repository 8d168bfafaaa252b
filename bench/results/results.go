// Package results keeps what a run of the benchmark found, and judges it by the goals.
package results

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pasdetrois/bench/arm"
	"pasdetrois/bench/stats"
	"pasdetrois/bench/trial"
)

// Results are what one run found.
type Results struct {
	Date     time.Time         `json:"date"`
	Form     string            `json:"form"`
	Seconds  float64           `json:"seconds"` // how long the run took
	Real     bool              `json:"real_kafka"`
	Clients  int               `json:"clients"` // of the closed loops
	Host     Host              `json:"host"`
	Versions map[string]string `json:"versions"`
	Rounds   []Round           `json:"rounds"`
	Figures  []Figure          `json:"figures"`
	Latency  []Loaded          `json:"latency"`
	Soak     []Sample          `json:"soak,omitempty"`
	Missing  []Missing         `json:"missing"`
	Goals    []Goal            `json:"goals"`
}

// Host is the machine.
type Host struct {
	CPUs   int     `json:"cpus"`
	System string  `json:"system"`
	Before float64 `json:"load_before"` // load average of a minute
	After  float64 `json:"load_after"`
	// Stolen is the percentage of the processors' time during the run that the hypervisor gave to other machines; 0 also
	// where that is not told.
	Stolen float64 `json:"stolen_percent"`
}

// Round is one closed loop of one arm.
type Round struct {
	Round int    `json:"round"`
	Arm   string `json:"arm"`
	trial.Saturation
}

// The arms of closed loops that are the product in another situation.
const (
	Pas            = "pas"
	OneProduct     = "pas, one product"
	Replicas       = "pas, two replicas"
	OnePartition   = "pas, one partition a topic"
	ManyPartitions = "pas, 24 and 12 partitions"
	ThreeReplicas  = "pas, three replicas"
	Idiomatic      = "idiomatic"
	Python         = "python"
)

// Figure is a number that is not an arm's: a limit, or a part alone.
type Figure struct {
	Name  string  `json:"name"`
	Round int     `json:"round"`
	Value float64 `json:"value"`
}

// The figures.
const (
	PgbenchSingle   = "pgbench, five single-statement transactions, lifecycles/s"
	PgbenchMany     = "pgbench, five many-statement transactions, lifecycles/s"
	NoOp            = "no-op POST handler, 202s/s"
	Transaction     = "a transaction per POST, 202s/s"
	Ingest          = "pas, orders service alone, durable 202s/s"
	Hop             = "one hop over Kafka, p50 ms"
	Commit          = "one commit, p50 ms"
	Coalescing      = "coalescer, a lone call, us"
	KafkaProducer   = "kafka perf-producer, records/s"
	KafkaLatency50  = "kafka e2e-latency, p50 ms"
	KafkaLatency99  = "kafka e2e-latency, p99 ms"
	RelayMemory     = "relay, handed over in memory, messages/s"
	RelayRecovery   = "relay, from the table, messages/s"
	Forwarder       = "stock forwarder, messages/s"
	RelayAck99      = "commit to Kafka's acknowledgement at half load, p99 ms"
	OpenTransaction = "saturation beside a 10-minute open transaction, share of without"
	Lanes           = "one partition, 1 ms handler, messages/s"
	StockConsumer   = "one partition, 1 ms handler, stock watermill-kafka, messages/s"
	Oversold        = "pieces oversold"
	BacklogRate     = "backlog, orders/s"
	BacklogPeak     = "backlog, largest service, MiB"
	BacklogOrders   = "backlog, orders"
)

// Loaded is what an open loop found.
type Loaded struct {
	Arm     string                   `json:"arm"`
	Round   int                      `json:"round"`
	Share   float64                  `json:"share"`     // of the arm's own saturation
	Rate    float64                  `json:"rate"`      // orders per second
	Emails  stats.Latency            `json:"emails_ms"` // from when an order was due to its email
	Answers stats.Latency            `json:"answers_ms"`
	Batches map[string]arm.Histogram `json:"batches"`
	Steps   []arm.Step               `json:"steps,omitempty"`
	Refused int                      `json:"refused"`
	trial.Cost
	Load float64 `json:"load_average"`
}

// Sample is a look at the services during the long run.
type Sample struct {
	Second     float64            `json:"second"`
	MiB        map[string]float64 `json:"rss_mib"`
	Goroutines map[string]int     `json:"goroutines"`
}

// Missing is what was to be measured and has no number.
type Missing struct {
	What  string `json:"what"`
	Round int    `json:"round,omitempty"`
	Why   string `json:"why"`
}

// Add notes a figure.
func (r *Results) Add(name string, round int, value float64) {
	r.Figures = append(r.Figures, Figure{name, round, value})
}

// Figure returns a figure's values by round.
func (r *Results) Figure(name string) map[int]float64 {
	found := map[int]float64{}
	for _, f := range r.Figures {
		if f.Name == name {
			found[f.Round] = f.Value
		}
	}
	return found
}

// Of returns something of an arm's closed loops by round.
func (r *Results) Of(name string, what func(trial.Saturation) float64) map[int]float64 {
	found := map[int]float64{}
	for _, round := range r.Rounds {
		if round.Arm == name {
			found[round.Round] = what(round.Saturation)
		}
	}
	return found
}

// Settled is what an arm's closed loop is about: orders per second, to the email.
func Settled(s trial.Saturation) float64 { return s.Settled }

// Whole is what an order costs everywhere but in the load generator, in microseconds of processor.
func Whole(s trial.Saturation) float64 { return s.Whole() }

// Median returns the median of figures by round, and false when there are none.
func Median(of map[int]float64) (float64, bool) {
	s := Summary(of)
	return s.Median, s.N > 0
}

// Summary sums figures by round up.
func Summary(of map[int]float64) stats.Summary {
	var all []float64
	for _, v := range of {
		all = append(all, v)
	}
	return stats.Summarize(all)
}

// Arms returns the arms that have a number, in the order in which they first ran.
func (r *Results) Arms() []string {
	var names []string
	for _, round := range r.Rounds {
		if !slices.Contains(names, round.Arm) {
			names = append(names, round.Arm)
		}
	}
	return names
}

// At returns what an arm's open loops at a share of saturation found: the median of the rounds, figure by figure.
func (r *Results) At(arm string, share float64) (l Loaded, ok bool) {
	var same []Loaded
	for _, one := range r.Latency {
		if one.Arm == arm && one.Share == share {
			same = append(same, one)
		}
	}
	if len(same) == 0 {
		return l, false
	}
	median := func(of func(Loaded) float64) float64 {
		var all []float64
		for _, one := range same {
			all = append(all, of(one))
		}
		return stats.Summarize(all).Median
	}
	l = same[len(same)-1]
	l.Rate = median(func(l Loaded) float64 { return l.Rate })
	l.Emails.P50 = median(func(l Loaded) float64 { return l.Emails.P50 })
	l.Emails.P95 = median(func(l Loaded) float64 { return l.Emails.P95 })
	l.Emails.P99 = median(func(l Loaded) float64 { return l.Emails.P99 })
	l.Emails.Max = median(func(l Loaded) float64 { return l.Emails.Max })
	l.Answers.P50 = median(func(l Loaded) float64 { return l.Answers.P50 })
	l.Answers.P99 = median(func(l Loaded) float64 { return l.Answers.P99 })
	l.Load = median(func(l Loaded) float64 { return l.Load })
	return l, true
}

// Shares returns the loads of an arm that were measured, ascending.
func (r *Results) Shares(arm string) []float64 {
	var shares []float64
	for _, l := range r.Latency {
		if l.Arm == arm && !slices.Contains(shares, l.Share) {
			shares = append(shares, l.Share)
		}
	}
	slices.Sort(shares)
	return shares
}

// Write writes the results to <date>.json in a folder and returns the file's name.
func (r *Results) Write(folder string) (string, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("write the results: %w", err)
	}
	content, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", fmt.Errorf("write the results: %w", err)
	}
	name := filepath.Join(folder, r.Date.UTC().Format("2006-01-02T15-04-05Z")+".json")
	if err := os.WriteFile(name, append(content, '\n'), 0o644); err != nil {
		return "", fmt.Errorf("write the results: %w", err)
	}
	return name, nil
}
