// Package report keeps the results of one run of the benchmark, judges them by the goals, and writes them: as
// JSON, as text for the terminal, and as the generated parts of docs/performance.md.
//
// Every figure is measured in several rounds. A single value is their median. A comparison is the median of the
// ratios within rounds: a slow minute of the machine affects both sides of a ratio, and cancels out.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pasdetrois/bench/arm"
)

// Results are the results of one run. Its JSON is the format of the files in bench/results.
type Results struct {
	Date     time.Time         `json:"date"`
	Form     string            `json:"form"`
	Against  string            `json:"against,omitempty"` // name of the arm of the other revision
	Seconds  float64           `json:"seconds"`           // duration of the whole run
	Real     bool              `json:"real_kafka"`
	Clients  int               `json:"clients"` // of the closed loops
	Host     Host              `json:"host"`
	Versions map[string]string `json:"versions"`
	Rounds   []Round           `json:"rounds"`
	Figures  []Figure          `json:"figures"`
	Latency  []Loaded          `json:"latency"`
	Rates    []Loaded          `json:"rates,omitempty"` // open loops at fixed rates
	Soak     []Sample          `json:"soak,omitempty"`
	Missing  []Missing         `json:"missing"`
	Goals    []Goal            `json:"goals"`
}

// Host is the machine and its state. High load before the run, or stolen time, make the figures doubtful.
type Host struct {
	CPUs   int     `json:"cpus"`
	System string  `json:"system"`
	Before float64 `json:"load_before"` // load average of a minute
	After  float64 `json:"load_after"`
	// Stolen is the percentage of the processors' time that the hypervisor gave to other machines during the
	// run. It is also 0 where the system does not report that.
	Stolen float64 `json:"stolen_percent"`
}

// Round is one closed loop of one arm. Rounds count from 1.
type Round struct {
	Round int    `json:"round"`
	Arm   string `json:"arm"`
	arm.Saturation
}

// The arms of closed loops. Those that begin with pas are the product in different situations.
const (
	Pas            = "pas"
	OneProduct     = "pas, one product"
	Replicas       = "pas, two replicas"
	OnePartition   = "pas, one partition a topic"
	ManyPartitions = "pas, 24 and 12 partitions"
	ThreeReplicas  = "pas, three replicas"
	SignedEvents   = "pas, signed events"
	Idiomatic      = "idiomatic"
	Python         = "python"
)

// Figure is a number that belongs to no arm: a limit, or a part alone. The round is 0 for steps after all
// rounds.
type Figure struct {
	Name  string  `json:"name"`
	Round int     `json:"round"`
	Value float64 `json:"value"`
}

// The names contain the unit. They are the keys in the JSON files, so a new name starts a new series.
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

// Loaded is one open loop.
type Loaded struct {
	Arm   string  `json:"arm"`
	Round int     `json:"round"`
	Share float64 `json:"share"` // of the arm's own saturation; 0 at a fixed rate
	Rate  float64 `json:"rate"`  // orders per second
	arm.Timed
}

// Sample is the memory and the goroutines of the services at one moment of the soak.
type Sample struct {
	Second     float64            `json:"second"`
	MiB        map[string]float64 `json:"rss_mib"`
	Goroutines map[string]int     `json:"goroutines"`
}

// Missing is a measurement without a number, and the reason. No figure is left out silently.
type Missing struct {
	What  string `json:"what"`
	Round int    `json:"round,omitempty"`
	Why   string `json:"why"`
}

// Add adds a figure.
func (r *Results) Add(name string, round int, value float64) {
	r.Figures = append(r.Figures, Figure{name, round, value})
}

// Figure returns the values of a figure by round. It is empty when the figure was not measured.
func (r *Results) Figure(name string) map[int]float64 {
	found := map[int]float64{}
	for _, f := range r.Figures {
		if f.Name == name {
			found[f.Round] = f.Value
		}
	}
	return found
}

// Of returns a value of an arm's closed loops by round.
func (r *Results) Of(name string, value func(arm.Saturation) float64) map[int]float64 {
	found := map[int]float64{}
	for _, round := range r.Rounds {
		if round.Arm == name {
			found[round.Round] = value(round.Saturation)
		}
	}
	return found
}

// Settled is the main value of a closed loop: orders per second, from the first POST to the last email.
func Settled(s arm.Saturation) float64 { return s.Settled }

// Whole is the processor time of an order in all programs but the load generator, in microseconds.
func Whole(s arm.Saturation) float64 { return s.Whole() }

// Arms returns the arms that have a number, in the order in which they first ran.
func (r *Results) Arms() (names []string) {
	for _, round := range r.Rounds {
		if !slices.Contains(names, round.Arm) {
			names = append(names, round.Arm)
		}
	}
	return names
}

// At returns an arm's open loops at a share of saturation as one loop. Each value is the median over the
// rounds.
func (r *Results) At(arm string, share float64) (l Loaded, ok bool) {
	return medians(r.Latency, func(l Loaded) bool { return l.Arm == arm && l.Share == share })
}

// medians returns the matching open loops as one. Each listed value is the median; all others are those of the
// last loop.
func medians(all []Loaded, match func(Loaded) bool) (l Loaded, ok bool) {
	same := slices.DeleteFunc(slices.Clone(all), func(l Loaded) bool { return !match(l) })
	if len(same) == 0 {
		return l, false
	}
	l = same[len(same)-1]
	for _, value := range []func(*Loaded) *float64{
		func(l *Loaded) *float64 { return &l.Rate }, func(l *Loaded) *float64 { return &l.Load },
		func(l *Loaded) *float64 { return &l.Emails.P50 }, func(l *Loaded) *float64 { return &l.Emails.P95 },
		func(l *Loaded) *float64 { return &l.Emails.P99 }, func(l *Loaded) *float64 { return &l.Emails.Max },
		func(l *Loaded) *float64 { return &l.Answers.P50 }, func(l *Loaded) *float64 { return &l.Answers.P99 },
	} {
		var values []float64
		for i := range same {
			values = append(values, *value(&same[i]))
		}
		*value(&l) = Summarize(values).Median
	}
	return l, true
}

// Shares returns the shares of saturation at which an arm was measured, ascending.
func (r *Results) Shares(arm string) (shares []float64) {
	for _, l := range r.Latency {
		if l.Arm == arm && !slices.Contains(shares, l.Share) {
			shares = append(shares, l.Share)
		}
	}
	slices.Sort(shares)
	return shares
}

// Write writes the results to <date>.json in a folder, which it makes, and returns the file's name.
func (r *Results) Write(folder string) (string, error) {
	name := filepath.Join(folder, r.Date.UTC().Format("2006-01-02T15-04-05Z")+".json")
	content, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err == nil {
		err = os.WriteFile(name, append(content, '\n'), 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("write the results: %w", err)
	}
	return name, nil
}
