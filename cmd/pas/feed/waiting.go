package feed

import (
	"context"
	"fmt"
)

// Waiting is how many records of a partition cannot be read yet, because they stand behind an open transaction.
type Waiting struct {
	Topic     string // without prefix
	Partition int32
	Records   int64 // offsets, to be exact: those of the transaction itself too
}

func (w Waiting) String() string {
	return fmt.Sprintf("%s/%d: %d records wait for a transaction that another producer has not ended", w.Topic, w.Partition, w.Records)
}

// Waiting returns what waited at Open, of what was to be read. A group's member knows nothing of it.
func (f *Feed) Waiting() []Waiting { return f.waiting }

func (f *Feed) wait(topic string, partition int32, stable, top int64) {
	if top > stable {
		f.waiting = append(f.waiting, Waiting{topic, partition, top - stable})
	}
}

// lookForTransactions tells of partitions where the same transaction was open at the last look. Kafka that does not answer
// is asked again at the next one.
func (f *Feed) lookForTransactions(ctx context.Context) {
	if f.cfg.Waiting == nil {
		return
	}
	// The tops first: else what is written between the two questions would seem to wait.
	tops, err := listed(f.admin.ListEndOffsets(ctx, f.cfg.names()...))
	if err != nil {
		return
	}
	stable, err := listed(f.admin.ListCommittedOffsets(ctx, f.cfg.names()...))
	if err != nil {
		return
	}
	before := f.stable
	f.stable = stable
	var still []Waiting
	for i, name := range f.cfg.names() {
		for partition, at := range stable[name] {
			last, seen := before[name][partition]
			if !seen || last != at || tops[name][partition] <= at {
				delete(f.told[name], partition)
				continue
			}
			if f.told[name][partition] {
				continue
			}
			if f.told == nil {
				f.told = map[string]map[int32]bool{}
			}
			if f.told[name] == nil {
				f.told[name] = map[int32]bool{}
			}
			f.told[name][partition] = true
			still = append(still, Waiting{f.cfg.Topics[i], partition, tops[name][partition] - at})
		}
	}
	if len(still) > 0 {
		f.cfg.Waiting(still)
	}
}
