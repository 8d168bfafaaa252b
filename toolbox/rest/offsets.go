package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type offsetsRequest struct {
	Offsets []offsetView `json:"offsets"`
}

// offsetView is a partition's offset in requests and answers. Metadata is a text that Kafka keeps beside a committed
// offset.
type offsetView struct {
	topicPartition
	Offset   int64  `json:"offset"`
	Metadata string `json:"metadata"`
}

// commit commits the given offsets. Each is the offset of the last processed record, so the group resumes behind it.
// Without a body it commits all records that were read.
func (i *instance) commit(ctx context.Context, _ *http.Request, in *offsetsRequest) (any, error) {
	if in == nil || in.Offsets == nil {
		return []any{}, i.commitRead(ctx)
	}
	return []any{}, i.commitGiven(ctx, in.Offsets)
}

// commitGiven commits offsets that the client chose. A member of a group commits as such. An instance without a
// subscription commits for the group, which must then have no members.
func (i *instance) commitGiven(ctx context.Context, given []offsetView) error {
	list, next := make([]topicPartition, len(given)), map[topicPartition]kadm.Offset{}
	for n, o := range given {
		if o.Offset < 0 {
			return invalid("offsets[%d].offset must be greater than or equal to 0", n)
		}
		list[n] = o.topicPartition
		next[o.topicPartition] = kadm.Offset{Topic: o.Topic, Partition: o.Partition, At: o.Offset + 1, LeaderEpoch: -1, Metadata: o.Metadata}
	}
	if err := i.check(ctx, list); err != nil {
		return err
	}
	if i.client != nil && !i.manual {
		return i.commitGroup(ctx, i.client, next)
	}
	return i.commitAlone(ctx, next)
}

// commitRead commits the records that were read and are not committed yet. If a partition's position moved during the
// commit, it stays uncommitted. Offsets of topics that were made anew are left out.
func (i *instance) commitRead(ctx context.Context) error {
	next := i.pending(i.assignment())
	err := i.stillThere(ctx, next)
	if err != nil {
		return err
	}
	if i.manual {
		err = i.commitAlone(ctx, next)
	} else {
		err = i.commitGroup(ctx, i.client, next)
	}
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for p, o := range next {
		if now := i.positions[p]; now.Offset == o.At && now.uncommitted {
			now.uncommitted = false
			i.positions[p] = now
		}
	}
	return nil
}

// pending returns the offsets behind the records that were read, for those of the partitions that are not committed
// yet.
func (i *instance) pending(list []topicPartition) map[topicPartition]kadm.Offset {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := map[topicPartition]kadm.Offset{}
	for _, p := range list {
		if at, ok := i.positions[p]; ok && at.uncommitted {
			next[p] = kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: at.Offset, LeaderEpoch: at.Epoch}
		}
	}
	return next
}

// commitGroup commits as the member that client is, within closeTime. Kafka rejects the commit when the group has given
// the partitions to others. So a member that lost its place cannot move the group back.
func (i *instance) commitGroup(ctx context.Context, client *kgo.Client, next map[topicPartition]kadm.Offset) error {
	if len(next) == 0 || client == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for p, o := range next {
		if offsets[p.Topic] == nil {
			offsets[p.Topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[p.Topic][p.Partition] = kgo.EpochOffset{Epoch: o.LeaderEpoch, Offset: o.At}
	}
	ctx = kgo.PreCommitFnContext(ctx, func(request *kmsg.OffsetCommitRequest) error {
		for _, topic := range request.Topics {
			for n := range topic.Partitions {
				p := &topic.Partitions[n]
				p.Metadata = kmsg.StringPtr(next[topicPartition{topic.Topic, p.Partition}].Metadata)
			}
		}
		return nil
	})
	var failure error
	client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			failure = err
			return
		}
		for _, topic := range answer.Topics {
			for _, p := range topic.Partitions {
				failure = errors.Join(failure, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	})
	return failure
}

// commitAlone commits for a group without members, as instances with assigned partitions do. Kafka rejects it while the
// group has members.
func (i *instance) commitAlone(ctx context.Context, next map[topicPartition]kadm.Offset) error {
	if len(next) == 0 {
		return nil
	}
	offsets := kadm.Offsets{}
	for _, o := range next {
		offsets.Add(o)
	}
	answers, err := i.server.admin.CommitOffsets(ctx, i.id.group, offsets)
	if err != nil {
		return err
	}
	return answers.Error()
}

// groupOffsets returns the group's committed offsets. A group that was never used has none.
func (i *instance) groupOffsets(ctx context.Context) (kadm.OffsetResponses, error) {
	found, err := i.server.admin.FetchOffsets(ctx, i.id.group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	return found, err
}

// committed answers with the group's committed offsets of the given partitions, also those that other members
// committed. A partition without one is missing in the answer.
func (i *instance) committed(ctx context.Context, _ *http.Request, in *partitionsRequest) (any, error) {
	if in == nil {
		return nil, failed(codePartitionNotFound, "Partition not found: the body names no partitions.")
	}
	if err := i.check(ctx, in.Partitions); err != nil {
		return nil, err
	}
	found, err := i.groupOffsets(ctx)
	if err != nil {
		return nil, err
	}
	answer := offsetsRequest{Offsets: []offsetView{}}
	for _, p := range in.Partitions {
		if o, ok := found.Lookup(p.Topic, p.Partition); ok && o.Err == nil && o.At >= 0 {
			answer.Offsets = append(answer.Offsets, offsetView{p, o.At, o.Metadata})
		}
	}
	return answer, nil
}
