package feed

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	toolkafka "pasdetrois/toolbox/kafka"
)

// UnknownTopicError says that a topic does not exist, and names those that do.
type UnknownTopicError struct {
	Topic string
	Exist []string

	unseen string // a reminder of topics that the client may not see
}

// Hint says how to create the topic.
func (e *UnknownTopicError) Hint() string {
	return fmt.Sprintf("create it with `pas topics create %s --partitions 1`%s", e.Topic, e.unseen)
}

func (e *UnknownTopicError) Error() string {
	if len(e.Exist) == 0 {
		return fmt.Sprintf("there is no topic %q, and no other either", e.Topic)
	}
	return fmt.Sprintf("there is no topic %q; there are %s", e.Topic, strings.Join(e.Exist, ", "))
}

// GoneError says that the offset to read next is not in the log: before its first record, or beyond its end.
type GoneError struct {
	Topic            string
	Partition        int32
	Next, First, End int64
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("%s/%d was read up to offset %d, but the topic has %d to %d", e.Topic, e.Partition, e.Next, e.First, e.End)
}

// Hint says how a job begins anew.
func (e *GoneError) Hint() string {
	return "records were deleted before they were counted, or the topic was deleted and created again: begin again with another --job"
}

// RemadeError says that a topic was deleted, or made anew under its name. Offsets mean other records in the new topic,
// so reading cannot resume.
type RemadeError struct {
	Topic string
	Known bool // its id differs from the one in Start.IDs
}

func (e *RemadeError) Error() string {
	if e.Known {
		return fmt.Sprintf("the topic %s was deleted and created again since it was read", e.Topic)
	}
	return fmt.Sprintf("the topic %s was deleted (and perhaps created again)", e.Topic)
}

// Hint says how to read the topic that is there now.
func (e *RemadeError) Hint() string {
	return "if it is there again, start this command again with --from-beginning"
}

// DeletedError says that records were deleted, by retention or by hand, before they were read.
type DeletedError struct {
	Topic     string
	Partition int32
}

func (e *DeletedError) Error() string {
	return fmt.Sprintf("records of %s/%d were deleted before they were read", e.Topic, e.Partition)
}

// Hint says how to keep records for longer.
func (e *DeletedError) Hint() string {
	return "start this command again, or let the topic keep its records for longer (retention.ms)"
}

// StrangeGroupError says that the members of a group share its partitions by a rule that this client does not have.
type StrangeGroupError struct{ Group string }

func (e *StrangeGroupError) Error() string {
	return fmt.Sprintf("the members of the group %s share its partitions by a rule that is not known here", e.Group)
}

// Hint says how to read without the group.
func (e *StrangeGroupError) Hint() string { return "choose another --group, or leave it out" }

// Passed is a batch of records that was passed over: it inflates to more than toolbox/kafka.MaxBatch.
type Passed struct {
	Topic     string // without prefix
	Partition int32
	First     int64 // its first offset
	Next      int64 // the offset behind it
}

func (p Passed) String() string {
	where := fmt.Sprintf("%s/%d@%d", p.Topic, p.Partition, p.First)
	if p.Next > p.First+1 {
		where += fmt.Sprintf("-%d", p.Next-1)
	}
	return fmt.Sprintf("%s is skipped: it inflates to more than %d MiB", where, toolkafka.MaxBatch>>20)
}

// problem returns the first error that a retry does not heal. The end of a wait and a lack of room are no errors, since
// the client asks again. Batches that inflate too far are passed over. An error without a topic is one of the
// connection or the group.
func (f *Feed) problem(ctx context.Context, fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		topic := strings.TrimPrefix(e.Topic, f.cfg.Kafka.TopicPrefix)
		var large *kgo.ErrDecompressTooLarge
		switch {
		case errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, toolkafka.ErrNoRoom):
		case errors.As(e.Err, &large):
			if err := f.passOver(ctx, large); err != nil {
				return err
			}
		case errors.Is(e.Err, kerr.UnknownTopicID) || errors.Is(e.Err, kerr.UnknownTopicOrPartition):
			return &RemadeError{Topic: topic}
		case errors.Is(e.Err, kerr.OffsetOutOfRange):
			return &DeletedError{Topic: topic, Partition: e.Partition}
		case errors.Is(e.Err, kerr.InconsistentGroupProtocol):
			return &StrangeGroupError{Group: f.cfg.Group}
		case e.Topic == "":
			return toolkafka.Explain(f.cfg.Kafka, fmt.Errorf("read from Kafka: %w", e.Err))
		default:
			return toolkafka.Explain(f.cfg.Kafka, fmt.Errorf("read %s/%d: %w", topic, e.Partition, e.Err))
		}
	}
	return nil
}

// passOver moves behind a batch that inflates too far, and calls Config.PassOver. All records before the batch were
// returned. A group's member commits the new offset at once, because no record of the batch will ever be done.
func (f *Feed) passOver(ctx context.Context, large *kgo.ErrDecompressTooLarge) error {
	behind := map[string]map[int32]kgo.EpochOffset{large.Topic: {large.Partition: {Epoch: large.Epoch, Offset: large.NextOffset}}}
	if f.cfg.Group != "" {
		ctx, cancel := context.WithTimeout(ctx, closeTime)
		defer cancel()
		f.client.CommitOffsetsSync(ctx, behind, nil) // when it fails, the group passes over it again
	}
	f.client.SetOffsets(behind)
	f.readTo(large.Topic, large.Partition, large.NextOffset)
	end, due := f.ends[large.Topic][large.Partition]
	if f.ends != nil && (!due || large.Offset >= end) {
		return nil // the batch came after Open, and the feed does not follow
	}
	if due && large.NextOffset >= end {
		f.reached(large.Topic, large.Partition)
	}
	if f.cfg.PassOver != nil {
		f.cfg.PassOver(Passed{strings.TrimPrefix(large.Topic, f.cfg.Kafka.TopicPrefix), large.Partition, large.Offset, large.NextOffset})
	}
	return nil
}
