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

type offsetView struct {
	place
	Offset   int64  `json:"offset"`
	Metadata string `json:"metadata"`
}

// commit commits the given offsets, each the last one that was processed: the group goes on behind it. Without a body
// it commits all that was read.
func commit(i *instance, w http.ResponseWriter, r *http.Request) error {
	media, err := answerType(r)
	if err != nil {
		return err
	}
	var in offsetsRequest
	given, err := optionalRequest(w, r, &in)
	if err != nil {
		return err
	}
	ctx, cancel := i.within(r)
	defer cancel()
	if !given || in.Offsets == nil {
		err = i.commitRead(ctx)
	} else {
		err = i.commitGiven(ctx, in.Offsets)
	}
	if err != nil {
		return kafkaError(err)
	}
	return respond(w, media, []any{})
}

func (i *instance) commitGiven(ctx context.Context, given []offsetView) error {
	places, next := make([]place, len(given)), map[place]kadm.Offset{}
	for n, o := range given {
		if o.Offset < 0 {
			return invalid("offsets[%d].offset must be greater than or equal to 0", n)
		}
		places[n] = o.place
		next[o.place] = kadm.Offset{Topic: o.Topic, Partition: o.Partition, At: o.Offset + 1, LeaderEpoch: -1, Metadata: o.Metadata}
	}
	if err := i.check(ctx, places); err != nil {
		return err
	}
	if i.client != nil && !i.manual {
		return i.commitGroup(ctx, i.client, next)
	}
	return i.commitAlone(ctx, next)
}

// commitRead commits everything that was read and is not committed yet.
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

// pending returns what was read of these partitions and is not committed yet.
func (i *instance) pending(places []place) map[place]kadm.Offset {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := map[place]kadm.Offset{}
	for _, p := range places {
		if at, ok := i.positions[p]; ok && at.uncommitted {
			next[p] = kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: at.Offset, LeaderEpoch: at.Epoch}
		}
	}
	return next
}

// commitGroup commits as the member that client is: Kafka refuses it when the group went on without that member.
func (i *instance) commitGroup(ctx context.Context, client *kgo.Client, next map[place]kadm.Offset) error {
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
				p.Metadata = kmsg.StringPtr(next[place{topic.Topic, p.Partition}].Metadata)
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

// commitAlone commits for a group without members, as instances with assigned partitions do.
func (i *instance) commitAlone(ctx context.Context, next map[place]kadm.Offset) error {
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

// groupOffsets returns what is committed for the group. A group that nobody used yet has nothing.
func (i *instance) groupOffsets(ctx context.Context) (kadm.OffsetResponses, error) {
	found, err := i.server.admin.FetchOffsets(ctx, i.id.group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	return found, err
}

// committed answers with the group's committed offsets of the partitions asked for, whoever committed them.
func committed(i *instance, w http.ResponseWriter, r *http.Request) error {
	media, err := answerType(r)
	if err != nil {
		return err
	}
	var in placesRequest
	given, err := optionalRequest(w, r, &in)
	if err != nil {
		return err
	}
	if !given {
		return failed(codePartitionNotFound, "Partition not found: the body names no partitions.")
	}
	ctx, cancel := i.within(r)
	defer cancel()
	if err := i.check(ctx, in.Partitions); err != nil {
		return err
	}
	found, err := i.groupOffsets(ctx)
	if err != nil {
		return kafkaError(err)
	}
	answer := offsetsRequest{Offsets: []offsetView{}}
	for _, p := range in.Partitions {
		if o, ok := found.Lookup(p.Topic, p.Partition); ok && o.Err == nil && o.At >= 0 {
			answer.Offsets = append(answer.Offsets, offsetView{p, o.At, o.Metadata})
		}
	}
	return respond(w, media, answer)
}
