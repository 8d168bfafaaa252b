package rest

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// seekRequest is the body of a seek. A partition that both lists name begins at its timestamp.
type seekRequest struct {
	Offsets    []offsetView `json:"offsets"`
	Timestamps []timeView   `json:"timestamps"`
}

type timeView struct {
	topicPartition
	Timestamp time.Time `json:"timestamp"`
	Metadata  string    `json:"metadata"`
}

// seek moves the position to offsets, or to the first record that is not older than a timestamp. A timestamp behind the
// last record means the end.
func (i *instance) seek(ctx context.Context, in seekRequest) error {
	target := map[topicPartition]int64{}
	for n, o := range in.Offsets {
		if o.Offset < 0 {
			return invalid("offsets[%d].offset must be greater than or equal to 0", n)
		}
		target[o.topicPartition] = o.Offset
	}
	for _, t := range in.Timestamps {
		if err := readable(ctx, t.Topic); err != nil {
			return err
		}
		listed, err := i.server.admin.ListOffsetsAfterMilli(ctx, t.Timestamp.UnixMilli(), t.Topic)
		if err != nil {
			return err
		}
		o, ok := listed.Lookup(t.Topic, t.Partition)
		if !ok || o.Err != nil {
			return partitionNotFound(t.Topic, t.Partition)
		}
		target[t.topicPartition] = o.Offset
	}
	return i.move(ctx, target)
}

// seekTo returns the call that moves partitions to the offset that earliest or latest means now.
func (i *instance) seekTo(where string) func(context.Context, partitionsRequest) error {
	return func(ctx context.Context, in partitionsRequest) error { return i.seekEnd(ctx, in.Partitions, where) }
}

func (i *instance) seekEnd(ctx context.Context, partitions []topicPartition, where string) error {
	target := map[topicPartition]int64{}
	for _, p := range partitions {
		if err := readable(ctx, p.Topic); err != nil {
			return err
		}
		listed, err := i.server.listReset(ctx, where, []string{p.Topic})
		if err != nil {
			return err
		}
		o, ok := listed.Lookup(p.Topic, p.Partition)
		if !ok || o.Err != nil {
			return partitionNotFound(p.Topic, p.Partition)
		}
		target[p] = o.Offset
	}
	return i.move(ctx, target)
}

// move makes the next read begin at the targets. The instance must read all their partitions, or nothing is moved. A
// failure in the middle leaves some partitions moved.
func (i *instance) move(ctx context.Context, target map[topicPartition]int64) error {
	i.mu.Lock()
	for p := range target {
		if !i.assigned[p] {
			i.mu.Unlock()
			return illegalState("No current assignment for partition %s-%d", p.Topic, p.Partition)
		}
	}
	i.mu.Unlock()
	for p, offset := range target {
		if err := i.moveOne(ctx, p, offset); err != nil {
			return err
		}
	}
	return nil
}

// moveOne moves one partition and drops its fetched records. The new position counts as uncommitted, so the next commit
// makes it the group's.
func (i *instance) moveOne(ctx context.Context, p topicPartition, offset int64) error {
	at := kgo.EpochOffset{Epoch: -1, Offset: offset}
	if i.manual {
		i.client.RemoveConsumePartitions(map[string][]int32{p.Topic: {p.Partition}})
		i.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: {p.Partition: kgo.NewOffset().At(offset)}})
	} else if err := i.moveMember(ctx, p, at); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	var keep []*kgo.Record
	for _, r := range i.buffer {
		if partitionOf(r) != p {
			keep = append(keep, r)
		}
	}
	i.buffer = keep
	i.tooLarge = slices.DeleteFunc(i.tooLarge, func(e *kgo.ErrDecompressTooLarge) bool { return partitionOfBatch(e) == p })
	i.positions[p] = position{at, true}
	return nil
}

// moveMember moves a partition that the group assigned. franz-go ignores a move until it has read the partition's
// committed offset, a moment after the assignment. So the move is repeated until it has an effect, or ctx ends.
func (i *instance) moveMember(ctx context.Context, p topicPartition, at kgo.EpochOffset) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		i.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{p.Topic: {p.Partition: at}})
		if i.client.CommittedOffsets()[p.Topic][p.Partition] == at {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
