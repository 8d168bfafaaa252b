package recordbatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"pasdetrois/pkg/platform/kafka"
)

// maxResponse bounds one answer of the broker, in bytes: a batch as it is stored. A topic with the contract's settings has much
// smaller batches, but an operator may have raised max.message.bytes.
const maxResponse = 64 << 20

// checksumTries is the number of reads of a batch with a wrong checksum: the network may have changed it, not the disk.
const checksumTries = 3

// ErrGone means that the partition no longer has the offset: retention, or a new topic of the name, removed it.
var ErrGone = errors.New("the offset is not in the partition any more")

// Reader reads the committed batches of one partition. Use it from one goroutine. It joins no group and commits nothing: the
// caller keeps the offsets.
type Reader struct {
	client    *kgo.Client
	topic     string
	partition int32
	next      int64
	leader    int32 // broker; -1 = unknown, and the next fetch asks for it
}

// NewReader makes a reader that begins at offset next. The options have the brokers, the login and TLS. It does not connect yet.
func NewReader(options []kgo.Opt, topic string, partition int32, next int64) (*Reader, error) {
	// Version 12 is the last one that fetches by a topic's name.
	client, err := kgo.NewClient(append(options, kgo.MaxVersions(kversion.V2_8_0()), kgo.BrokerMaxReadBytes(maxResponse))...)
	if err != nil {
		return nil, fmt.Errorf("read %s/%d: %w", topic, partition, err)
	}
	return &Reader{client: client, topic: topic, partition: partition, next: next, leader: -1}, nil
}

// Close disconnects.
func (r *Reader) Close() { r.client.Close() }

// Next returns the next batch and moves behind it, or nil when none came within wait. After an error the reader stays at its
// offset, and Next may be called again: it then asks for the leader anew. ErrGone does not pass. A damaged batch is no error
// here: Next returns it, with its offsets, and Open reports the damage.
func (r *Reader) Next(ctx context.Context, wait time.Duration) (*Batch, error) {
	for try := 1; ; try++ {
		part, err := r.fetch(ctx, wait)
		if err != nil {
			r.leader = -1
			return nil, fmt.Errorf("read %s/%d at %d: %w", r.topic, r.partition, r.next, err)
		}
		b := parse(part.RecordBatches)
		if b == nil {
			return nil, nil
		}
		if errors.Is(b.damage, errChecksum) && try < checksumTries {
			continue
		}
		for _, a := range part.AbortedTransactions {
			// The request was for one batch, so the answer lists the transactions around it.
			b.aborted = b.aborted || b.raw.Attributes&transaction != 0 && a.ProducerID == b.raw.ProducerID && a.FirstOffset <= b.First
		}
		if b.Last < r.next { // with a damaged header the reader would otherwise read the same batch for ever
			b.Last = r.next
		}
		r.next = b.Last + 1
		return b, nil
	}
}

// fetch asks the leader for one batch, with isolation read_committed and without a fetch session. An answer without the
// partition counts as an empty one.
func (r *Reader) fetch(ctx context.Context, wait time.Duration) (*kmsg.FetchResponseTopicPartition, error) {
	if r.leader < 0 {
		if err := r.findLeader(ctx); err != nil {
			return nil, err
		}
	}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.IsolationLevel, req.SessionEpoch = -1, int32(wait.Milliseconds()), 1, 1, -1
	req.MaxBytes = maxResponse
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.CurrentLeaderEpoch = r.partition, r.next, -1
	part.PartitionMaxBytes = 1 // the broker answers with at least one batch, so with exactly one
	req.Topics = []kmsg.FetchRequestTopic{{Topic: r.topic, Partitions: []kmsg.FetchRequestTopicPartition{part}}}
	answer, err := r.client.Broker(int(r.leader)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, kafka.Readable(err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return &kmsg.FetchResponseTopicPartition{}, nil
	}
	got := &resp.Topics[0].Partitions[0]
	err = kerr.ErrorForCode(got.ErrorCode)
	if errors.Is(err, kerr.OffsetOutOfRange) {
		err = fmt.Errorf("%w (it begins at %d)", ErrGone, got.LogStartOffset)
	}
	return got, kafka.Readable(err)
}

// findLeader asks any broker for the partition's leader. During an election there is none, and the caller tries again.
func (r *Reader) findLeader(ctx context.Context) error {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &r.topic
	req.Topics = []kmsg.MetadataRequestTopic{topic}
	resp, err := req.RequestWith(ctx, r.client)
	if err != nil {
		return fmt.Errorf("find its leader: %w", err)
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("find its leader: %w", kafka.Readable(err))
		}
		for _, p := range t.Partitions {
			if p.Partition == r.partition && p.Leader >= 0 {
				r.leader = p.Leader
				return nil
			}
		}
	}
	return errors.New("it has no leader just now")
}

// SeekEnd moves behind the last record that can be read: to the first open transaction, or to the end.
func (r *Reader) SeekEnd(ctx context.Context) error { return r.seek(ctx, -1) }

// SeekBegin moves to the oldest offset of the partition.
func (r *Reader) SeekBegin(ctx context.Context) error { return r.seek(ctx, -2) }

// seek moves to the offset at a time of Kafka's ListOffsets, where -1 is the end and -2 the beginning. After an error the reader
// stays where it was.
func (r *Reader) seek(ctx context.Context, at int64) error {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, 1
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Partition, part.Timestamp, part.CurrentLeaderEpoch = r.partition, at, -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: r.topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{part}}}
	resp, err := req.RequestWith(ctx, r.client)
	if err != nil {
		return fmt.Errorf("offsets of %s/%d: %w", r.topic, r.partition, err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return fmt.Errorf("offsets of %s/%d: the broker did not answer", r.topic, r.partition)
	}
	answer := resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return fmt.Errorf("offsets of %s/%d: %w", r.topic, r.partition, kafka.Readable(err))
	}
	r.next = answer.Offset
	return nil
}
