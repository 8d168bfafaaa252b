package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/toolbox/client"
	toolkafka "pasdetrois/toolbox/kafka"
)

// From is the place where a replay begins in each partition. The zero value means the oldest record. Offset wins over
// Time.
type From struct {
	Time   time.Time // the first record at this time or later
	Offset *int64    // in each partition
}

// RangeError says that a partition has no handled record at the offset: retention deleted it, or the group has not
// handled it.
type RangeError struct {
	Topic       string
	Partition   int32
	Offset      int64
	First, Next int64 // the oldest record there is, and the first one that was not handled yet
}

func (e *RangeError) Error() string {
	if e.Next <= e.First {
		return fmt.Sprintf("nothing that is left of %s/%d was handled before, so there is no offset to replay it from", e.Topic, e.Partition)
	}
	return fmt.Sprintf("offset %d is not between %d and %d, which is what there is of %s/%d and was handled", e.Offset, e.First, e.Next-1, e.Topic, e.Partition)
}

// Hint says how to choose an offset.
func (e *RangeError) Hint() string {
	return "give another --from, or choose a partition with --topic and --partition"
}

// group is a consumer group with two offsets for each partition of its topic. The records from target to committed are
// handled again.
//
//	oldest record        target               committed            end of the partition
//	├─── handled ────────┼─── handled again ──┼─── not handled ────┤
type group struct {
	client.ConsumerGroup
	topicID   string          // "" when Kafka has none
	committed map[int32]int64 // up to where it had handled when it was paused, by partition
	target    map[int32]int64 // where it begins again: only partitions of which something is read again
}

// again returns the number of offsets that are read again. There may be fewer records: transaction markers and
// compacted records leave offsets without one.
func (g group) again() (n int64) {
	for partition, target := range g.target {
		n += g.committed[partition] - target
	}
	return n
}

// brokers asks for the groups' offsets and moves them. It joins no group.
type brokers struct {
	client *kgo.Client
	admin  *kadm.Client
	cut    context.CancelFunc
}

// connect returns when a broker answers, or fails when ctx ends. The client outlives ctx, which is the short one of
// prepare. close ends it.
func connect(ctx context.Context, cfg kafka.Config) (*brokers, error) {
	options, err := toolkafka.Options(cfg)
	if err != nil {
		return nil, err
	}
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	c, err := kgo.NewClient(append(options, kgo.WithContext(life))...)
	if err != nil {
		cut()
		return nil, err
	}
	b := &brokers{client: c, admin: kadm.NewClient(c), cut: cut}
	// A broker that accepts the connection and never answers blocks the first request beyond ctx. So the end of ctx also ends
	// the client's own context.
	inTime := context.AfterFunc(ctx, cut)
	err = kafka.Reach(ctx, c)
	if inTime() && err == nil {
		return b, nil
	}
	b.close()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("kafka at %s does not answer: %w", strings.Join(cfg.Brokers, ","), ctx.Err())
	}
	return nil, fmt.Errorf("connect to Kafka at %s: %w", strings.Join(cfg.Brokers, ","), err)
}

// close ends requests that still wait, then closes the connections.
func (b *brokers) close() {
	b.cut()
	b.client.Close()
}

// committed returns the committed offset of each partition: the first one that the group has not handled. A partition
// without one is missing in the map. An offset that was committed for a deleted topic of the same name does not count.
// The text beside the offset has that topic's id; without an id on either side the offset counts.
func (b *brokers) committed(ctx context.Context, g client.ConsumerGroup, topicID string) (map[int32]int64, error) {
	fetched, err := b.admin.FetchOffsets(ctx, g.Group)
	if errors.Is(err, kerr.GroupIDNotFound) { // the group never had a member
		fetched, err = nil, nil
	}
	if err == nil {
		err = fetched.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask how far %s is: %w", g.Group, err)
	}
	committed := map[int32]int64{}
	for partition, o := range fetched[g.KafkaTopic] {
		if in := kafka.TopicIDBeside(o.Metadata); in != "" && topicID != "" && in != topicID {
			continue
		}
		if o.At >= 0 {
			committed[partition] = o.At
		}
	}
	return committed, nil
}

// far returns the group with its topic's id and its committed offsets. It has no target.
func (b *brokers) far(ctx context.Context, g client.ConsumerGroup) (group, error) {
	found := group{ConsumerGroup: g}
	var err error
	if found.topicID, err = b.topicID(ctx, g); err == nil {
		found.committed, err = b.committed(ctx, g, found.topicID)
	}
	return found, err
}

// plan chooses the target of each partition of the group's topic, or of one partition. Its errors are *PartitionError,
// *RangeError and those of Kafka. An explicit offset must exist in every chosen partition; a time need not.
func (b *brokers) plan(ctx context.Context, g client.ConsumerGroup, from From, partition int32) (group, error) {
	planned, err := b.far(ctx, g)
	if err != nil {
		return planned, err
	}
	planned.target = map[int32]int64{}
	ends, err := listed(b.admin.ListEndOffsets(ctx, g.KafkaTopic))
	if err != nil {
		return planned, err
	}
	for p, next := range planned.committed {
		if next > ends[p] { // committed for a deleted topic: the service begins anew
			delete(planned.committed, p)
		}
	}
	firsts, err := listed(b.admin.ListStartOffsets(ctx, g.KafkaTopic))
	if err != nil {
		return planned, err
	}
	begin := firsts
	if !from.Time.IsZero() {
		if begin, err = listed(b.admin.ListOffsetsAfterMilli(ctx, from.Time.UnixMilli(), g.KafkaTopic)); err != nil {
			return planned, err
		}
	}
	if _, exists := firsts[partition]; partition >= 0 && !exists {
		return planned, &PartitionError{Topic: g.Topic, Partition: partition, Partitions: len(firsts)}
	}
	for _, p := range slices.Sorted(maps.Keys(firsts)) {
		next, handled := planned.committed[p]
		if partition >= 0 && p != partition {
			continue
		}
		target := begin[p]
		if from.Offset != nil {
			target = *from.Offset
			if target < firsts[p] || target >= next {
				return planned, &RangeError{Topic: g.Topic, Partition: p, Offset: target, First: firsts[p], Next: next}
			}
		}
		if handled && target < next { // a move forward would skip records that were not handled
			planned.target[p] = target
		}
	}
	return planned, nil
}

// behind returns the group with all records that it can read and has not handled. It uses the fields in another way
// than plan: target is the group's own offset, and committed is the end of the readable records. left then counts down
// to that end. Records behind an open transaction do not count, because no consumer can read them yet.
func (b *brokers) behind(ctx context.Context, g client.ConsumerGroup) (group, error) {
	unread, err := b.far(ctx, g)
	if err != nil {
		return unread, err
	}
	handled := unread.committed
	firsts, err := listed(b.admin.ListStartOffsets(ctx, g.KafkaTopic))
	if err != nil {
		return unread, err
	}
	if unread.committed, err = listed(b.admin.ListCommittedOffsets(ctx, g.KafkaTopic)); err != nil {
		return unread, err
	}
	unread.target = map[int32]int64{}
	for partition, first := range firsts {
		if at := max(handled[partition], first); at < unread.committed[partition] {
			unread.target[partition] = at
		}
	}
	return unread, nil
}

// PartitionError says that a topic does not have the partition. It is a mistake of the caller.
type PartitionError struct {
	Topic      string
	Partition  int32
	Partitions int
}

func (e *PartitionError) Error() string {
	return fmt.Sprintf("topic %s has no partition %d: they are numbered 0 to %d", e.Topic, e.Partition, e.Partitions-1)
}

// Usage marks a mistake in the arguments.
func (e *PartitionError) Usage() {}

// listed returns offsets by partition. An error of one partition fails them all: a plan with holes would replay too
// little.
func listed(offsets kadm.ListedOffsets, err error) (map[int32]int64, error) {
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask Kafka for offsets: %w", err)
	}
	byPartition := map[int32]int64{}
	offsets.Each(func(o kadm.ListedOffset) { byPartition[o.Partition] = o.Offset })
	return byPartition, nil
}

// reset commits the target of each partition. The topic's id is kept beside it, as the service does, so that the
// service accepts the offset. The brokers reject the commit while the group has members, and reset returns a *BusyError
// then. All partitions of the group are in one request.
func (b *brokers) reset(ctx context.Context, service string, g group) error {
	var offsets kadm.Offsets
	for partition, target := range g.target {
		offsets.Add(kadm.Offset{Topic: g.KafkaTopic, Partition: partition, At: target, LeaderEpoch: -1, Metadata: kafka.BesideOffset(g.topicID)})
	}
	done, err := b.admin.CommitOffsets(ctx, g.Group, offsets)
	if err == nil {
		err = done.Error()
	}
	if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) {
		if err := b.members(ctx, service, []client.ConsumerGroup{g.ConsumerGroup}); err != nil {
			return err
		}
		return &BusyError{Service: service, Group: g.Group}
	}
	if err != nil {
		return fmt.Errorf("move %s back: %w", g.Group, err)
	}
	return nil
}

// left returns how many of the offsets to be read again are not committed yet. A group that went beyond its former
// offset has none left. It returns a *RemadeError when a topic has another id now, because its offsets mean other
// records then.
func (b *brokers) left(ctx context.Context, service string, groups []group) (left int64, err error) {
	for _, g := range groups {
		if len(g.target) == 0 {
			continue
		}
		id, err := b.topicID(ctx, g.ConsumerGroup)
		if err != nil {
			return 0, err
		}
		if g.topicID != "" && id != g.topicID {
			return 0, &RemadeError{Service: service, Topic: g.Topic}
		}
		at, err := b.committed(ctx, g.ConsumerGroup, id)
		if err != nil {
			return 0, err
		}
		for partition, target := range g.target {
			left += max(g.committed[partition]-max(at[partition], target), 0)
		}
	}
	return left, nil
}
