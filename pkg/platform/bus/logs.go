package bus

import (
	"errors"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
)

// logState is how far the log of one partition reaches.
type logState struct {
	first  int64 // the oldest record that is left
	stable int64 // behind the last record that may be read: transactions that are still open begin here
	end    int64 // behind the last record
}

// askLogs asks the leaders of partitions how far their logs reach: three questions to each leader, for any number of
// partitions.
func askLogs(client sarama.Client, partitions map[string][]int32) (map[claimKey]logState, error) {
	led := make(map[*sarama.Broker][]claimKey)
	for topic, ps := range partitions {
		for _, p := range ps {
			leader, err := client.Leader(topic, p)
			if err != nil {
				return nil, fmt.Errorf("leader of %s/%d: %w", topic, p, err)
			}
			led[leader] = append(led[leader], claimKey{topic, p})
		}
	}
	states := make(map[claimKey]logState)
	for leader, keys := range led {
		first, err := askOffsets(client, leader, keys, sarama.OffsetOldest, sarama.ReadUncommitted)
		if err != nil {
			return nil, err
		}
		stable, err := askOffsets(client, leader, keys, sarama.OffsetNewest, sarama.ReadCommitted)
		if err != nil {
			return nil, err
		}
		end, err := askOffsets(client, leader, keys, sarama.OffsetNewest, sarama.ReadUncommitted)
		if err != nil {
			return nil, err
		}
		for _, key := range keys { // the log moves on between two questions
			s := logState{first: first[key], stable: max(first[key], stable[key])}
			s.end = max(s.stable, end[key])
			states[key] = s
		}
	}
	return states, nil
}

// askOffsets asks a broker for one offset of each partition that it leads.
func askOffsets(client sarama.Client, leader *sarama.Broker, keys []claimKey, at int64, level sarama.IsolationLevel) (map[claimKey]int64, error) {
	req := sarama.NewOffsetRequest(client.Config().Version)
	req.IsolationLevel = level
	for _, key := range keys {
		req.AddBlock(key.topic, key.partition, at, 1)
	}
	answer, err := leader.GetAvailableOffsets(req)
	if err != nil {
		return nil, fmt.Errorf("ask for offsets: %w", err)
	}
	offsets := make(map[claimKey]int64, len(keys))
	for _, key := range keys {
		block := answer.GetBlock(key.topic, key.partition)
		switch {
		case block == nil:
			return nil, fmt.Errorf("offset of %s/%d: %w", key.topic, key.partition, sarama.ErrIncompleteResponse)
		case block.Err != sarama.ErrNoError:
			return nil, fmt.Errorf("offset of %s/%d: %w", key.topic, key.partition, block.Err)
		}
		offsets[key] = block.Offset
	}
	return offsets, nil
}

// progress is how far a consumer group has read one partition.
type progress struct {
	next    int64  // offset that it reads next; -1 when nothing is committed
	topicID string // of the topic that the offset belongs to; "" when nobody wrote it down
}

// askProgress asks how far a group is in a topic.
func (c Config) askProgress(admin sarama.ClusterAdmin, group, topic string, partitions []int32) (map[int32]progress, error) {
	committed, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: partitions})
	if errors.Is(err, sarama.ErrGroupIDNotFound) {
		committed, err = &sarama.OffsetFetchResponse{}, nil // nobody ever joined it: nothing is committed
	}
	if err != nil {
		return nil, c.explained("committed offsets of "+topic, err)
	}
	far := make(map[int32]progress, len(partitions))
	for _, p := range partitions {
		far[p] = progress{next: -1}
		block := committed.GetBlock(topic, p)
		if block == nil {
			continue
		}
		if block.Err != sarama.ErrNoError {
			return nil, fmt.Errorf("committed offset of %s/%d: %w", topic, p, block.Err)
		}
		far[p] = progress{next: block.Offset, topicID: topicIDIn(block.Metadata)}
	}
	return far, nil
}

// ofTopic marks the id of a topic in the text that Kafka keeps beside a committed offset.
const ofTopic = "topic-id="

// besideOffset returns the text to keep beside an offset of the topic with the id.
func besideOffset(topicID string) string {
	if topicID == "" {
		return ""
	}
	return ofTopic + topicID
}

// topicIDIn returns the topic's id in the text beside a committed offset, "" when it has none: another program may have
// moved the offset.
func topicIDIn(beside string) string {
	id, ok := strings.CutPrefix(beside, ofTopic)
	if !ok {
		return ""
	}
	return id
}
