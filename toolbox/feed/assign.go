package feed

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// assign fixes the offset at which each partition begins and, without Follow, the one at which it ends. The end is the
// last stable offset: records behind an open transaction cannot be read, and are returned by Waiting instead.
//
// The tops are asked for before the ends. In the other order, records written in between would seem to wait.
func (f *Feed) assign(ctx context.Context) error {
	names := f.cfg.names()
	firsts, err := listed(f.admin.ListStartOffsets(ctx, names...))
	if err != nil {
		return err
	}
	tops, err := listed(f.admin.ListEndOffsets(ctx, names...))
	if err != nil {
		return err
	}
	ends, err := listed(f.admin.ListCommittedOffsets(ctx, names...))
	if err != nil {
		return err
	}
	begin := ends
	switch {
	case f.cfg.Start.Beginning:
		begin = firsts
	case !f.cfg.Start.Since.IsZero():
		if begin, err = listed(f.admin.ListOffsetsAfterMilli(ctx, f.cfg.Start.Since.UnixMilli(), names...)); err != nil {
			return err
		}
	}
	if !f.cfg.Follow {
		f.ends = map[string]map[int32]int64{}
	}
	f.begin = map[string]map[int32]int64{}
	from := map[string]map[int32]kgo.Offset{}
	for i, name := range names {
		topic := f.cfg.Topics[i]
		f.begin[topic] = map[int32]int64{}
		from[name], f.known[name] = map[int32]kgo.Offset{}, map[int32]bool{}
		for partition, end := range ends[name] {
			next := begin[name][partition]
			if at, ok := f.cfg.Start.At[topic][partition]; ok {
				if at < firsts[name][partition] || at > end {
					return &GoneError{Topic: topic, Partition: partition, Next: at, First: firsts[name][partition], End: end}
				}
				next = at
			}
			f.begin[topic][partition] = next
			f.readTo(name, partition, next)
			f.wait(topic, partition, max(next, end), tops[name][partition])
			from[name][partition], f.known[name][partition] = kgo.NewOffset().At(next), true
			if f.ends != nil && next < end {
				if f.ends[name] == nil {
					f.ends[name] = map[int32]int64{}
				}
				f.ends[name][partition] = end
			}
		}
	}
	f.client.AddConsumePartitions(from)
	f.checked = time.Now()
	return nil
}

// listed returns offsets by topic and partition. An error of one partition is an error of all.
func listed(offsets kadm.ListedOffsets, err error) (map[string]map[int32]int64, error) {
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask Kafka for offsets: %w", err)
	}
	byTopic := map[string]map[int32]int64{}
	offsets.Each(func(o kadm.ListedOffset) {
		if byTopic[o.Topic] == nil {
			byTopic[o.Topic] = map[int32]int64{}
		}
		byTopic[o.Topic][o.Partition] = o.Offset
	})
	return byTopic, nil
}

// widens reports whether this feed must look for added partitions itself: it follows and reads alone.
func (f *Feed) widens() bool { return f.cfg.Group == "" && f.ends == nil }

// widen looks up the topics every WidenEvery. It adds new partitions from their beginning, so no record in them is
// missed. A topic that is gone, or has another id, is a *RemadeError: its offsets mean other records.
func (f *Feed) widen(ctx context.Context) error {
	if !f.widens() || time.Since(f.checked) < f.cfg.WidenEvery {
		return nil
	}
	f.checked = time.Now()
	topics, err := f.admin.ListTopics(ctx)
	if err != nil {
		return nil // the broker is away: the next look asks again
	}
	added := map[string]map[int32]kgo.Offset{}
	for i, name := range f.cfg.names() {
		if !topics.Has(name) {
			return &RemadeError{Topic: f.cfg.Topics[i]}
		}
		if id := topics[name].ID; topics[name].Err == nil && id != (kadm.TopicID{}) && id != f.ids[name] {
			return &RemadeError{Topic: f.cfg.Topics[i]}
		}
		for _, partition := range topics[name].Partitions.Numbers() {
			if f.known[name][partition] {
				continue
			}
			if added[name] == nil {
				added[name] = map[int32]kgo.Offset{}
			}
			f.known[name][partition] = true
			added[name][partition] = kgo.NewOffset().AtStart()
		}
	}
	if len(added) > 0 {
		f.client.AddConsumePartitions(added)
	}
	f.lookForTransactions(ctx)
	return nil
}
