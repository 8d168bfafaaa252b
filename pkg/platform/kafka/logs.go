package kafka

import (
	"errors"
	"fmt"
	"strings"

	"github.com/IBM/sarama"
)

// LogState is the extent of one partition's log:
//
//	First <= Stable <= End
//
// Records from First to Stable can be read. Those from Stable to End wait for transactions that are still open.
type LogState struct {
	First  int64 // offset of the oldest record that is left
	Stable int64 // behind the last record that may be read: transactions that are still open begin here
	End    int64 // behind the last record
}

// AskLogs asks the leaders of partitions for the extent of their logs, with three requests to each leader. Each partition is in
// exactly one of the results: in logs, or in untold with the reason why its leader gave no answer. Leaders come from the
// client's metadata, which may be old: a broker that leads no more answers with an error.
func AskLogs(client sarama.Client, topic string, partitions []int32) (logs map[int32]LogState, untold map[int32]error) {
	logs, untold = make(map[int32]LogState), make(map[int32]error)
	led := make(map[*sarama.Broker][]int32)
	for _, p := range partitions {
		leader, err := client.Leader(topic, p)
		if err != nil {
			untold[p] = fmt.Errorf("leader of %s/%d: %w", topic, p, err)
			continue
		}
		led[leader] = append(led[leader], p)
	}
	for leader, ps := range led {
		ask := func(at int64, level sarama.IsolationLevel) map[int32]int64 {
			return askOffsets(client, leader, topic, ps, at, level, untold)
		}
		first := ask(sarama.OffsetOldest, sarama.ReadUncommitted)
		stable := ask(sarama.OffsetNewest, sarama.ReadCommitted)
		end := ask(sarama.OffsetNewest, sarama.ReadUncommitted)
		for _, p := range ps { // the log moves on between two requests, so the answers are put in order
			if untold[p] == nil {
				s := LogState{First: first[p], Stable: max(first[p], stable[p])}
				s.End = max(s.Stable, end[p])
				logs[p] = s
			}
		}
	}
	return logs, untold
}

// askOffsets asks a broker for one offset of each partition that it leads, in one request. It writes the error of a partition
// into untold. A later request that succeeds does not remove it.
func askOffsets(client sarama.Client, leader *sarama.Broker, topic string, partitions []int32, at int64, level sarama.IsolationLevel,
	untold map[int32]error,
) map[int32]int64 {
	req := sarama.NewOffsetRequest(client.Config().Version)
	req.IsolationLevel = level
	for _, p := range partitions {
		req.AddBlock(topic, p, at, 1)
	}
	answer, err := leader.GetAvailableOffsets(req)
	offsets := make(map[int32]int64, len(partitions))
	for _, p := range partitions {
		err := err
		if err == nil {
			err = sarama.ErrIncompleteResponse
			if block := answer.GetBlock(topic, p); block != nil {
				offsets[p], err = block.Offset, nil
				if block.Err != sarama.ErrNoError {
					err = block.Err
				}
			}
		}
		if err != nil {
			untold[p] = fmt.Errorf("offset of %s/%d: %w", topic, p, err)
		}
	}
	return offsets
}

// Progress is a consumer group's progress in one partition.
type Progress struct {
	Next    int64  // offset that the group reads next; -1 when nothing is committed
	TopicID string // of the topic that the offset belongs to; "" when the commit has no id beside it
}

// Of reports whether the offset belongs to the topic with the id. It does unless both ids are known and differ: offsets
// of a topic that was deleted and made again mean other records, and old brokers have no ids.
func (p Progress) Of(topicID string) bool {
	return p.TopicID == "" || topicID == "" || p.TopicID == topicID
}

// AskProgress asks for a group's committed offsets in a topic, by the names on the broker. The result has every partition,
// those without a commit with Next -1. An error of one partition fails the call, because a missing offset would look like
// a group that starts anew.
func (c Config) AskProgress(admin sarama.ClusterAdmin, group, topic string, partitions []int32) (map[int32]Progress, error) {
	committed, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: partitions})
	if errors.Is(err, sarama.ErrGroupIDNotFound) {
		committed, err = &sarama.OffsetFetchResponse{}, nil // the group has never had a member: nothing is committed
	}
	if err != nil {
		return nil, c.Explained("committed offsets of "+topic, err)
	}
	far := make(map[int32]Progress, len(partitions))
	for _, p := range partitions {
		far[p] = Progress{Next: -1}
		block := committed.GetBlock(topic, p)
		if block == nil {
			continue
		}
		if block.Err != sarama.ErrNoError {
			return nil, fmt.Errorf("committed offset of %s/%d: %w", topic, p, block.Err)
		}
		far[p] = Progress{Next: block.Offset, TopicID: TopicIDBeside(block.Metadata)}
	}
	return far, nil
}

// ofTopic marks the id of a topic in the text that Kafka keeps beside a committed offset. Consumers and the tool's replay
// write it, so its form must not change: stored offsets have it.
const ofTopic = "topic-id="

// BesideOffset returns the text to commit beside an offset of the topic with the id, "" for a broker without ids.
func BesideOffset(topicID string) string {
	if topicID == "" {
		return ""
	}
	return ofTopic + topicID
}

// TopicIDBeside returns the topic's id in the text beside a committed offset, "" when it has none: another program may have
// moved the offset.
func TopicIDBeside(beside string) string {
	id, ok := strings.CutPrefix(beside, ofTopic)
	if !ok {
		return ""
	}
	return id
}
