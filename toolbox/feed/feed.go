// Package feed reads topics for the tool, record by record, from chosen offsets: alone, or as a member of a consumer
// group.
//
// Only committed records are handed over, and the records of a partition in their order. Nothing is read twice or left out
// between Open and Close; a member of a group reads on after the last record it said Done to.
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
	"pasdetrois/pkg/platform/wait"
	toolkafka "pasdetrois/toolbox/kafka"
)

const (
	// widenEvery is how often a feed that reads alone looks for new partitions, when not told.
	widenEvery = 10 * time.Second
	// createdTime is how long after its making a topic may still be unknown to some broker.
	createdTime = 2 * time.Second
	// closeTime bounds the last commit of a group's member and its leaving.
	closeTime = 3 * time.Second
	// atOnce is what one Poll returns at most, when not told.
	atOnce = 10_000
	// roomBytes is what inflated batches may take that wait to be handed over. One always fits.
	roomBytes = 16 << 20
)

// Config says what to read.
type Config struct {
	Kafka  kafka.Config
	Topics []string // without prefix
	// Group is the consumer group to join; "" reads alone and leaves no trace.
	Group string
	Start Start
	// Follow reads on for ever; without it Poll returns io.EOF after the last record that was there at Open. A group's
	// member always follows.
	Follow bool
	// Most is how many records one Poll returns at most; 0 = 10,000.
	Most int
	// WidenEvery is how often a feed that reads alone looks for partitions that were added, for a topic that was made anew
	// and for transactions that hold records back; 0 = 10 s.
	WidenEvery time.Duration
	// OpenTime bounds how long Open may take.
	OpenTime time.Duration
	// PassOver is called for each batch that Poll passes over, in its place between the records. It may be nil.
	PassOver func(Passed)
	// Waiting is called, while the feed follows and reads alone, with partitions whose records wait behind the same open
	// transaction for longer than WidenEvery, once each. It may be nil.
	Waiting func([]Waiting)
}

// Start says where to begin. The zero value begins with what comes from now on. A group begins there only where it has
// committed nothing yet.
type Start struct {
	Beginning bool
	Since     time.Time // the first record at this time or later
	// At are the next offsets of partitions known from before, by topic without prefix. It wins over the others; one
	// below what the log still has is an error (*GoneError), one beyond its end too.
	At map[string]map[int32]int64
	// IDs are the ids of topics known from before, by topic without prefix. Another one is an error (*RemadeError).
	IDs map[string]string
}

// Feed is an open reader of topics. One goroutine uses it.
type Feed struct {
	cfg     Config
	client  *kgo.Client
	cut     context.CancelFunc // ends what the client does, also when Kafka does not answer
	admin   *kadm.Client
	known   map[string]map[int32]bool  // partitions that are read, by full name
	begin   map[string]map[int32]int64 // by topic without prefix
	next    map[string]map[int32]int64 // the offsets to read next, by full name
	ends    map[string]map[int32]int64 // what is still to be read without Follow, by full name
	checked time.Time
	room    room
	ids     map[string]kadm.TopicID    // of the topics as they were at Open, by full name
	waiting []Waiting                  // at Open
	stable  map[string]map[int32]int64 // where reading ended at the last look, by full name
	told    map[string]map[int32]bool  // partitions that Config.Waiting was told of
}

// Open connects, makes sure that the topics exist and fixes where to begin: what is written after it returned is handed
// over. Its errors are of the network, *UnknownTopicError, *RemadeError or *GoneError.
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
		kgo.KeepControlRecords(), // they tell how far a partition was read
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
	// A broker that takes the connection and says nothing keeps the first request past its context's end.
	inTime := context.AfterFunc(ctx, cut)
	f.client, f.cut, f.admin = client, cut, kadm.NewClient(client)
	err = f.open(ctx)
	if inTime() && err == nil {
		return f, nil
	}
	cut()
	client.Close()
	if ctx.Err() != nil {
		err = fmt.Errorf("kafka at %s does not answer: %w", strings.Join(cfg.Kafka.Brokers, ","), ctx.Err())
	}
	return nil, toolkafka.Explain(cfg.Kafka, err)
}

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

func (f *Feed) open(ctx context.Context) error {
	if err := f.client.Ping(ctx); err != nil {
		return fmt.Errorf("connect to Kafka at %s: %w", strings.Join(f.cfg.Kafka.Brokers, ","), err)
	}
	if err := f.exist(ctx); err != nil || f.cfg.Group != "" {
		return err
	}
	return f.assign(ctx)
}

// exist makes sure that the topics exist. It looks more than once: a topic that was made this moment may be unknown to
// the broker that is asked.
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

// Positions returns the offsets that reading begins with, by topic without prefix. A group's member has none.
func (f *Feed) Positions() map[string]map[int32]int64 { return f.begin }

// contractNames returns the topics of the prefix without it.
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

// Poll waits for records until ctx ends, which is no error: it returns none then. Topics have no prefix in them. It
// returns io.EOF when all that was to be read was handed over.
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

// once asks the client for records one time. It may return none.
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

// poll waits for records, but not longer than until it is time to look for new partitions.
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

// handOver picks the records that are a user's, and notes what was read.
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

// readTo notes the next offset of a partition.
func (f *Feed) readTo(topic string, partition int32, next int64) {
	if f.next[topic] == nil {
		f.next[topic] = map[int32]int64{}
	}
	f.next[topic][partition] = next
}

func (f *Feed) reached(topic string, partition int32) {
	delete(f.ends[topic], partition)
	if len(f.ends[topic]) == 0 {
		delete(f.ends, topic)
	}
}

// Done says that a record needs not be handed to the group again. Without a group it does nothing.
func (f *Feed) Done(r *kgo.Record) {
	if f.cfg.Group == "" {
		return
	}
	full := *r
	full.Topic = f.cfg.Kafka.TopicPrefix + r.Topic
	f.client.MarkCommitRecords(&full)
}

// Close commits what was done and leaves the group, if Kafka answers in time.
func (f *Feed) Close() {
	if f.cfg.Group != "" {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		_ = f.client.CommitMarkedOffsets(ctx) // what is not committed is read again
		_ = f.client.LeaveGroupContext(ctx)
	}
	f.cut()
	f.client.Close()
}
