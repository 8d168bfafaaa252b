package feed

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	toolkafka "pasdetrois/toolbox/kafka"
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

// HeldBack returns which partitions of the topics, named without prefix, have records now that stand behind an open
// transaction. An ordinary transaction of a moment is among them.
func HeldBack(ctx context.Context, cfg kafka.Config, topics []string) ([]Waiting, error) {
	opts, err := toolkafka.Options(cfg)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, toolkafka.Explain(cfg, fmt.Errorf("look for open transactions: %w", err))
	}
	defer client.Close()
	f := &Feed{cfg: Config{Kafka: cfg, Topics: topics}, admin: kadm.NewClient(client)}
	tops, stable, err := f.topsAndStable(ctx)
	if err != nil {
		return nil, toolkafka.Explain(cfg, fmt.Errorf("look for open transactions: %w", err))
	}
	for i, name := range f.cfg.names() {
		for _, partition := range slices.Sorted(maps.Keys(stable[name])) {
			f.wait(topics[i], partition, stable[name][partition], tops[name][partition])
		}
	}
	return f.waiting, nil
}

// topsAndStable returns where the partitions end, and up to where there is no open transaction. The tops are asked for first: else
// what is written between the two questions would seem to wait.
func (f *Feed) topsAndStable(ctx context.Context) (tops, stable map[string]map[int32]int64, err error) {
	if tops, err = listed(f.admin.ListEndOffsets(ctx, f.cfg.names()...)); err != nil {
		return nil, nil, err
	}
	stable, err = listed(f.admin.ListCommittedOffsets(ctx, f.cfg.names()...))
	return tops, stable, err
}

// lookForTransactions tells of partitions where the same transaction was open at the last look. Kafka that does not answer
// is asked again at the next one.
func (f *Feed) lookForTransactions(ctx context.Context) {
	if f.cfg.Waiting == nil {
		return
	}
	tops, stable, err := f.topsAndStable(ctx)
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
