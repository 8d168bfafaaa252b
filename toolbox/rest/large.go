package rest

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	toolkafka "pasdetrois/toolbox/kafka"
)

func partitionOfBatch(e *kgo.ErrDecompressTooLarge) topicPartition {
	return topicPartition{e.Topic, e.Partition}
}

// isTooLarge reports whether a batch that inflates too far stands behind the records that were fetched. A read then
// ends, so that its client gets these records first.
func (i *instance) isTooLarge() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.tooLarge) > 0
}

// passOver moves the position behind the first such batch and returns the error with which the read is answered; nil
// when there is none. The caller has no record for an answer, so all records before the batch were read.
//
// The client gets one error for each batch, and its next read goes on behind it. Without this, one batch would block
// its partition for ever.
func (i *instance) passOver() error {
	i.mu.Lock()
	if len(i.tooLarge) == 0 {
		i.mu.Unlock()
		return nil
	}
	large := i.tooLarge[0]
	i.tooLarge = i.tooLarge[1:]
	behind := kgo.EpochOffset{Epoch: large.Epoch, Offset: large.NextOffset}
	i.positions[partitionOfBatch(large)] = position{behind, true}
	i.mu.Unlock()
	// mu is free here: SetOffsets waits for a change of partitions, which takes mu.
	i.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{large.Topic: {large.Partition: behind}})
	i.server.counts.tooLarge.Add(1)
	i.server.cfg.Log.Warn("skipped a batch that inflates too far", "group", i.id.group, "instance", i.id.name,
		"topic", large.Topic, "partition", large.Partition, "offset", large.Offset)
	return failed(codeKafka, "Kafka error: the batch of topic %q, partition %d at offset %d inflates to more than %d MiB and is skipped: the next read continues at offset %d",
		large.Topic, large.Partition, large.Offset, toolkafka.MaxBatch>>20, large.NextOffset)
}

// drop forgets the fetched records that were not sent, and moves the client back so that the next read fetches them
// again. So a client that went away does not block memory. An instance with a call in work keeps its records.
func (i *instance) drop() {
	select {
	case i.turn <- struct{}{}:
	default:
		return
	}
	defer i.done()
	if i.client == nil || i.alive.Err() != nil {
		return
	}
	if i.client.BufferedFetchRecords() > 0 { // records that came after the last read ended
		var now context.Context // nil: without waiting
		_, _ = i.keep(i.client.PollFetches(now))
	}
	i.mu.Lock()
	back := map[string]map[int32]kgo.EpochOffset{}
	for _, r := range slices.Backward(i.buffer) {
		if back[r.Topic] == nil {
			back[r.Topic] = map[int32]kgo.EpochOffset{}
		}
		back[r.Topic][r.Partition] = kgo.EpochOffset{Epoch: -1, Offset: r.Offset}
	}
	i.buffer = nil
	i.mu.Unlock()
	i.client.SetOffsets(back)
	i.share.settle(nil)
}

// holds reports whether fetched records of the instance take memory.
func (i *instance) holds() bool {
	i.mu.Lock()
	held := i.share
	i.mu.Unlock()
	return held != nil && held.holds()
}
