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

// Waiting is a partition whose last records cannot be read yet, because they stand behind an open transaction.
type Waiting struct {
	Topic     string // without prefix
	Partition int32
	Records   int64 // offsets, including those of the transaction itself
}

func (w Waiting) String() string {
	return fmt.Sprintf("%s/%d: %d records wait for a transaction that another producer has not ended", w.Topic, w.Partition, w.Records)
}

// Waiting returns the partitions that had waiting records at Open. A group's member has none.
func (f *Feed) Waiting() []Waiting { return f.waiting }

// wait adds a partition if its top is above its stable end.
func (f *Feed) wait(topic string, partition int32, stable, top int64) {
	if top > stable {
		f.waiting = append(f.waiting, Waiting{topic, partition, top - stable})
	}
}

// HeldBack returns the partitions of the topics, named without prefix, that have records behind an open transaction
// now. It does not distinguish an ordinary transaction of a moment from one that hangs: ask twice and compare.
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

// topsAndStable returns the ends of the partitions, and the offsets up to which no transaction is open. The tops are
// asked for first: otherwise records written between the two requests would seem to wait.
func (f *Feed) topsAndStable(ctx context.Context) (tops, stable map[string]map[int32]int64, err error) {
	if tops, err = listed(f.admin.ListEndOffsets(ctx, f.cfg.names()...)); err != nil {
		return nil, nil, err
	}
	stable, err = listed(f.admin.ListCommittedOffsets(ctx, f.cfg.names()...))
	return tops, stable, err
}

// lookForTransactions reports partitions where the same transaction was open at the last look, once each. The
// transaction is the same if the stable offset has not moved. If Kafka does not answer, the next look asks again.
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
