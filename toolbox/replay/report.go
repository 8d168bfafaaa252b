package replay

import (
	"slices"
	"time"
)

// Topic is the part of one topic that was read again. Messages counts offsets.
type Topic struct {
	Topic      string      `json:"topic"`
	Group      string      `json:"group"`
	Messages   int64       `json:"messages"`
	Partitions []Partition `json:"partitions"`
}

// Partition is the part of one partition that was read again: offset From is included, offset To is not.
type Partition struct {
	Partition int32 `json:"partition"`
	From      int64 `json:"from"`
	To        int64 `json:"to"`
}

// Report is the result of a replay. Without a Comparison, its fields are missing in the JSON.
type Report struct {
	Service  string        `json:"service"`
	Topics   []Topic       `json:"topics"`
	Messages int64         `json:"messages"` // that were to be read again
	Handled  int64         `json:"handled"`  // of them
	Paused   time.Duration `json:"-"`        // how long the service consumed nothing
	Took     time.Duration `json:"-"`
	*Comparison
}

// report returns the progress so far. It names the selected groups, also those with nothing to read again.
func (r *run) report() *Report {
	report := &Report{Service: r.Service, Topics: []Topic{}, Messages: r.again(), Handled: r.handled, Paused: r.paused, Took: time.Since(r.began)}
	for _, g := range r.groups {
		if !slices.Contains(r.selected, g.ConsumerGroup) {
			continue
		}
		t := Topic{Topic: g.Topic, Group: g.Group, Messages: g.again(), Partitions: []Partition{}}
		for partition, from := range g.target {
			t.Partitions = append(t.Partitions, Partition{partition, from, g.committed[partition]})
		}
		slices.SortFunc(t.Partitions, func(a, b Partition) int { return int(a.Partition - b.Partition) })
		report.Topics = append(report.Topics, t)
	}
	return report
}
