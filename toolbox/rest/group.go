package rest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	toolkafka "pasdetrois/toolbox/kafka"
)

// joinGroup begins to consume as a member of the group. franz-go calls the functions below from its own goroutine, also
// between two calls of the instance.
//
// When partitions are taken away, records that were read are committed first, while this member still may. A failure is
// only logged: the next member then reads these records again, which at least once allows.
func (i *instance) joinGroup(opts ...kgo.Opt) error {
	return i.connect(nil, append(opts,
		kgo.ConsumerGroup(i.id.group),
		toolkafka.Balancers(),
		kgo.RebalanceTimeout(20*time.Second),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) { i.gained(added) }),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, gone map[string][]int32) {
			if i.settings.autoCommit {
				next := i.pending(partitionList(gone))
				if err := errors.Join(i.stillThere(ctx, next), i.commitGroup(ctx, client, next)); err != nil {
					i.warn("commit before giving partitions away", err)
				}
			}
			i.lost(gone)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { i.lost(gone) }),
		kgo.AdjustFetchOffsetsFn(i.beginAt),
	)...)
}

// gained adds partitions, and wakes a read that waits for the first ones. The group has let the instance in, so refused
// is over.
func (i *instance) gained(added map[string][]int32) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range partitionList(added) {
		i.assigned[p] = true
	}
	i.refused = nil
	select {
	case <-i.joined:
	default:
		close(i.joined)
	}
}

// lost removes partitions that another member reads from now on, with their fetched records. It also removes records
// from an answer that is being made: the other member reads all records that were not sent. Records on their way to the
// client are read by both.
func (i *instance) lost(gone map[string][]int32) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range partitionList(gone) {
		delete(i.assigned, p)
		delete(i.positions, p)
	}
	if len(i.assigned) == 0 { // until the group answers again
		select {
		case <-i.joined:
			i.joined = make(chan struct{})
		default:
		}
	}
	i.buffer = slices.DeleteFunc(i.buffer, func(r *kgo.Record) bool { return !i.assigned[partitionOf(r)] })
	i.tooLarge = slices.DeleteFunc(i.tooLarge, func(e *kgo.ErrDecompressTooLarge) bool { return !i.assigned[partitionOfBatch(e)] })
	i.answer = slices.DeleteFunc(i.answer, func(it item) bool { return !i.assigned[partitionOf(it.record)] })
}

// beginAt replaces earliest and latest by offsets, for assigned partitions without a committed offset. The position can
// then be moved before anything is read. With reset "none" such a partition is an error of the read instead.
//
// It keeps these offsets. When a partition comes back after an outage, latest means a later offset, and the records in
// between would never be read. If Kafka does not answer, franz-go applies the reset by itself.
func (i *instance) beginAt(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if i.settings.reset == "none" {
		return offsets, nil
	}
	var unknown []string
	i.eachUncommitted(offsets, func(p topicPartition, known bool) {
		if !known && !slices.Contains(unknown, p.Topic) {
			unknown = append(unknown, p.Topic)
		}
	})
	if len(unknown) > 0 {
		listed, err := i.server.listReset(ctx, i.settings.reset, unknown)
		if err != nil {
			i.warn("look up where to begin", err)
		}
		i.eachUncommitted(offsets, func(p topicPartition, known bool) {
			if found, ok := listed.Lookup(p.Topic, p.Partition); ok && found.Err == nil && !known {
				i.began[p] = found.Offset
			}
		})
	}
	i.eachUncommitted(offsets, func(p topicPartition, known bool) {
		if known {
			offsets[p.Topic][p.Partition] = kgo.NewOffset().At(i.began[p])
		}
	})
	return offsets, nil
}

// eachUncommitted calls do, with mu held, for each partition without a committed offset. known says whether began has
// the offset at which this instance began there.
func (i *instance) eachUncommitted(offsets map[string]map[int32]kgo.Offset, do func(p topicPartition, known bool)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for topic, partitions := range offsets {
		for number, offset := range partitions {
			if p := (topicPartition{topic, number}); offset.EpochOffset().Offset < 0 {
				_, known := i.began[p]
				do(p, known)
			}
		}
	}
}

// listReset returns the offsets that earliest or latest means now, in each partition of the topics.
func (s *Server) listReset(ctx context.Context, reset string, topics []string) (kadm.ListedOffsets, error) {
	if reset == "earliest" {
		return s.admin.ListStartOffsets(ctx, topics...)
	}
	return s.admin.ListEndOffsets(ctx, topics...)
}
