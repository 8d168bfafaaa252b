// Package feed reads topics for the tool, record by record, from chosen offsets: alone, or as a member of a consumer
// group.
//
// # What a feed returns
//
// Only committed records, the records of a partition in their order. Between Open and Close no record is returned twice
// or left out, except batches that inflate too far (Config.PassOver). A member of a group resumes behind the last
// record for which Done was called.
//
// # Alone or in a group
//
//	                  alone                         in a group
//	begins at         Start                         committed offsets, else Start
//	ends              at the ends at Open,          never
//	                  or never with Follow
//	new partitions    are added with Follow         are assigned by the group
//	leaves            nothing in Kafka              committed offsets
//
// # Failure
//
// While Kafka is away, a feed that reads alone waits, and the client tries again by itself. Poll returns an error when
// a retry does not help: the topic was deleted or made anew, or records were deleted before they were read. The caller
// must close the feed then.
package feed

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/wait"
	toolkafka "pasdetrois/toolbox/kafka"
)

const (
	// widenEvery is the default of Config.WidenEvery.
	widenEvery = 10 * time.Second
	// createdTime is how long a topic that was just created may be unknown to some broker.
	createdTime = 2 * time.Second
	// closeTime bounds the last commit of a group's member and its leaving.
	closeTime = 3 * time.Second
	// atOnce is the default of Config.Most.
	atOnce = 10_000
	// roomBytes bounds the memory of inflated batches that no Poll has returned yet. One batch always fits.
	roomBytes = 16 << 20
)

// Config names the topics to read, the place to begin and the functions for batches and partitions that cannot be read.
type Config struct {
	Kafka  kafka.Config
	Topics []string // without prefix
	// Group is the consumer group to join; "" reads alone and leaves no trace.
	Group string
	Start Start
	// Follow continues at the end of the topics and waits for new records. Without it, Poll returns io.EOF after the
	// last record that was there at Open. A group's member always follows.
	Follow bool
	// Trusted keys must have signed the events that the contract says are signed; nil = unsigned ones count as well.
	Trusted *signing.Keys
	// Most is how many records one Poll returns at most; 0 = 10,000.
	Most int
	// WidenEvery is the time between two checks of a feed that reads alone: for added partitions, for a topic that was
	// made anew and for transactions that hold records back; 0 = 10 s.
	WidenEvery time.Duration
	// OpenTime bounds how long Open may take.
	OpenTime time.Duration
	// PassOver is called by Poll for each batch that it passes over, in its place between the records. It may be nil.
	PassOver func(Passed)
	// Waiting is called by Poll, while the feed follows and reads alone. It gets the partitions whose records wait
	// behind the same open transaction for longer than WidenEvery, once for each transaction. It may be nil.
	Waiting func([]Waiting)
}

// Start is the place to begin. The zero value begins with the records that are written from now on. A group begins
// there only where it has committed no offset.
type Start struct {
	Beginning bool
	Since     time.Time // the first record at this time or later
	// At has the next offsets of partitions that the caller read before, by topic without prefix. It wins over the
	// other fields. An offset before the first record that is left is an error (*GoneError), and so is one beyond the
	// end. A group ignores it.
	At map[string]map[int32]int64
	// IDs are the ids of topics that the caller read before, by topic without prefix. A topic with another id is an
	// error (*RemadeError).
	IDs map[string]string
}

// Feed is an open reader of topics. One goroutine uses it. Close must be called.
type Feed struct {
	cfg     Config
	client  *kgo.Client
	cut     context.CancelFunc // ends the client's requests, also when Kafka does not answer
	admin   *kadm.Client
	known   map[string]map[int32]bool  // partitions that are read, by full name
	begin   map[string]map[int32]int64 // by topic without prefix
	next    map[string]map[int32]int64 // the offsets to read next, by full name
	ends    map[string]map[int32]int64 // without Follow: the ends not reached yet, by full name
	checked time.Time
	room    room
	ids     map[string]kadm.TopicID    // of the topics as they were at Open, by full name
	waiting []Waiting                  // at Open
	stable  map[string]map[int32]int64 // the stable ends at the last look, by full name
	told    map[string]map[int32]bool  // partitions that were given to Config.Waiting
}

// Open connects, makes sure that the topics exist and fixes the place to begin: Poll returns every record that is
// written after Open has returned. It takes Config.OpenTime at most. Its errors are of the network, *UnknownTopicError,
// *RemadeError or *GoneError.
func Open(ctx context.Context, cfg Config) (*Feed, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.OpenTime)
	defer cancel()
	cfg.Most, cfg.WidenEvery = cmp.Or(cfg.Most, atOnce), cmp.Or(cfg.WidenEvery, widenEvery)
	options, err := toolkafka.Options(cfg.Kafka)
	if err != nil {
		return nil, err
	}
	f := &Feed{cfg: cfg, known: map[string]map[int32]bool{}, next: map[string]map[int32]int64{}, ids: map[string]kadm.TopicID{}}
	reading, err := toolkafka.ReadingOptions(f.room.take)
	if err != nil {
		return nil, err
	}
	options = append(append(options, reading...),
		kgo.KeepControlRecords(), // else a partition that ends with one would never be read to its end
		kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if cfg.Group != "" {
		options = append(options, cfg.group()...)
	}
	life, cut := context.WithCancel(context.Background())
	client, err := kgo.NewClient(append(options, kgo.WithContext(life))...)
	if err != nil {
		cut()
		return nil, err
	}
	// A broker that accepts the connection and never answers blocks the first request beyond ctx. So the end of ctx also ends
	// the client's own context.
	inTime := context.AfterFunc(ctx, cut)
	f.client, f.cut, f.admin = client, cut, kadm.NewClient(client)
	err = f.open(ctx)
	if inTime() && err == nil {
		return f, nil
	}
	cut()
	client.Close()
	if ctx.Err() != nil {
		return nil, toolkafka.Unanswered(cfg.Kafka, ctx.Err())
	}
	return nil, toolkafka.Explain(cfg.Kafka, err)
}

// group returns the options of a group's member. Start counts only where the group has no offset. An offset that was
// deleted resets to the oldest record, so a member skips no record that is left. Only records that were Done are
// committed.
func (c Config) group() []kgo.Opt {
	start := kgo.NewOffset().AtEnd()
	switch {
	case c.Start.Beginning:
		start = kgo.NewOffset().AtStart()
	case !c.Start.Since.IsZero():
		start = kgo.NewOffset().AfterMilli(c.Start.Since.UnixMilli())
	}
	return []kgo.Opt{
		kgo.ConsumerGroup(c.Kafka.GroupPrefix + c.Group), kgo.ConsumeTopics(c.names()...),
		toolkafka.Balancers(),
		kgo.ConsumeStartOffset(start), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitMarks(),
	}
}

// names returns the topics with their prefix.
func (c Config) names() []string {
	names := make([]string, len(c.Topics))
	for i, t := range c.Topics {
		names[i] = c.Kafka.TopicPrefix + t
	}
	return names
}

// open asks Kafka for the topics, and assigns their partitions unless a group does that.
func (f *Feed) open(ctx context.Context) error {
	if err := kafka.Reach(ctx, f.client); err != nil {
		return fmt.Errorf("connect to Kafka at %s: %w", strings.Join(f.cfg.Kafka.Brokers, ","), err)
	}
	if err := f.exist(ctx); err != nil || f.cfg.Group != "" {
		return err
	}
	return f.assign(ctx)
}

// exist makes sure that the topics exist. It asks again for createdTime, because a topic that was just created may be
// unknown to the broker that answers.
func (f *Feed) exist(ctx context.Context) error {
	for deadline := time.Now().Add(createdTime); ; {
		existing, err := f.admin.ListTopics(ctx)
		if err != nil {
			return fmt.Errorf("list topics: %w", err)
		}
		missing := slices.IndexFunc(f.cfg.names(), func(name string) bool { return !existing.Has(name) })
		if missing < 0 {
			return f.identify(existing)
		}
		if time.Now().After(deadline) {
			return &UnknownTopicError{Topic: f.cfg.Topics[missing], Exist: f.contractNames(existing.Names()), unseen: toolkafka.Unseen(f.cfg.Kafka)}
		}
		if !wait.Sleep(ctx, createdTime/10) {
			return ctx.Err()
		}
	}
}

// Positions returns the offsets at which reading begins, by topic without prefix. A group's member has none. The caller
// must not change it.
func (f *Feed) Positions() map[string]map[int32]int64 { return f.begin }

// contractNames returns the topics that have the prefix, without it, in order.
func (f *Feed) contractNames(names []string) []string {
	var short []string
	for _, name := range names {
		if s, ok := strings.CutPrefix(name, f.cfg.Kafka.TopicPrefix); ok && !strings.HasPrefix(name, "__") {
			short = append(short, s)
		}
	}
	slices.Sort(short)
	return short
}

// Poll waits for records until ctx ends, which is no error: it returns no records then. The topics of its records have
// no prefix. It returns io.EOF when all records that were there at Open were returned.
func (f *Feed) Poll(ctx context.Context) ([]*kgo.Record, error) {
	for {
		if f.ends != nil && len(f.ends) == 0 {
			return nil, io.EOF
		}
		records, err := f.once(ctx)
		if err != nil || len(records) > 0 || ctx.Err() != nil {
			return records, err
		}
	}
}

// once asks the client for records one time. It may return none, such as when only markers of transactions came.
func (f *Feed) once(ctx context.Context) ([]*kgo.Record, error) {
	if err := f.widen(ctx); err != nil {
		return nil, err
	}
	fetches := f.poll(ctx)
	if err := f.problem(ctx, fetches); err != nil {
		return nil, err
	}
	return f.handOver(fetches), nil
}

// poll waits for records, but not longer than until new partitions are due to be looked up. The room for inflated
// batches is empty when the client holds no record.
func (f *Feed) poll(ctx context.Context) kgo.Fetches {
	if f.widens() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, f.checked.Add(f.cfg.WidenEvery))
		defer cancel()
	}
	if f.client.BufferedFetchRecords() == 0 {
		f.room.clear()
	}
	return f.client.PollRecords(ctx, f.cfg.Most)
}

// handOver returns the records that are for the caller. It leaves out markers of transactions and records that came
// after Open, unless the feed follows. Their offsets count as read all the same.
func (f *Feed) handOver(fetches kgo.Fetches) []*kgo.Record {
	records := make([]*kgo.Record, 0, fetches.NumRecords())
	fetches.EachRecord(func(r *kgo.Record) {
		f.readTo(r.Topic, r.Partition, r.Offset+1)
		end, due := f.ends[r.Topic][r.Partition]
		if due && r.Offset+1 >= end {
			f.reached(r.Topic, r.Partition)
		}
		if f.ends != nil && (!due || r.Offset >= end) || r.Attrs.IsControl() {
			return
		}
		records = append(records, r)
	})
	for _, r := range records {
		r.Topic = strings.TrimPrefix(r.Topic, f.cfg.Kafka.TopicPrefix)
	}
	return records
}

// readTo sets the next offset of a partition. CatchUp compares it with the end.
func (f *Feed) readTo(topic string, partition int32, next int64) {
	if f.next[topic] == nil {
		f.next[topic] = map[int32]int64{}
	}
	f.next[topic][partition] = next
}

// reached removes a partition that was read to its end. Poll returns io.EOF when none is left.
func (f *Feed) reached(topic string, partition int32) {
	delete(f.ends[topic], partition)
	if len(f.ends[topic]) == 0 {
		delete(f.ends, topic)
	}
}

// Done says that the caller is done with a record and all earlier ones of its partition. The next offset is committed
// in the background or by Close. Without a group it does nothing.
func (f *Feed) Done(r *kgo.Record) {
	if f.cfg.Group == "" {
		return
	}
	full := *r
	full.Topic = f.cfg.Kafka.TopicPrefix + r.Topic
	f.client.MarkCommitRecords(&full)
}

// Close commits the offsets of all records that are done, and leaves the group. Both together take closeTime at most.
// If the commit fails, the group delivers these records again.
func (f *Feed) Close() {
	if f.cfg.Group != "" {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		_ = f.client.CommitMarkedOffsets(ctx) // after a failure, the group delivers the records again
		_ = f.client.LeaveGroupContext(ctx)
	}
	f.cut()
	f.client.Close()
}
