package rest

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	toolkafka "pasdetrois/toolbox/kafka"
)

// topicPartition is one partition of a topic.
type topicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// instance is one consumer. Its calls run one after another (begin, done). Only the group's changes of partitions
// happen in between, and they touch only the fields that mu guards.
//
//	created ── subscribe ──> member of its group ── unsubscribe ──> created
//	   │                        partitions come and go (gained, lost)
//	   └────── assign ─────> reads given partitions ── unsubscribe ──> created
//
// Each state ends with end: DELETE, no call for Config.Idle, or the server's stop.
//
// A record moves as follows. Only the last step makes it count as read:
//
//	Kafka ── fetch ──> buffer ── take ──> answer ── sent ──> positions ── commit ──> group's offset
//	                      ^                  │
//	                      └──── putBack ─────┘
type instance struct {
	server   *Server
	id       instanceID
	settings settings
	turn     chan struct{}   // held by the call in work
	alive    context.Context // ends when the instance does
	kill     context.CancelFunc

	// Only the call in work, which holds turn, uses these:
	client  *kgo.Client        // nil before a subscription or assignment
	hangUp  context.CancelFunc // cancels the client's pending requests
	topics  []string
	pattern string
	manual  bool // partitions are assigned by hand

	mu        sync.Mutex
	share     *share                       // of the memory; nil before client
	joined    chan struct{}                // closed once the group has assigned partitions, or none
	assigned  map[topicPartition]bool      // partitions to read
	buffer    []*kgo.Record                // fetched, for the next answers
	tooLarge  []*kgo.ErrDecompressTooLarge // batches to skip, each behind the buffered records of its partition
	answer    []item                       // in the answer that is being made
	positions map[topicPartition]position  // behind the records that were read
	began     map[topicPartition]int64     // where reading began, without a committed offset
	ids       map[string]kadm.TopicID      // of the topics that are read
	refused   error                        // why the group rejects this instance; nil = it does not, or not yet
	gone      string                       // a subscribed topic that was deleted or made anew; "" = none
}

// position is the offset behind the last record that was sent. uncommitted says that the group does not have it yet.
type position struct {
	kgo.EpochOffset
	uncommitted bool
}

// newInstance returns an instance without a connection: creating one costs Kafka nothing.
func newInstance(s *Server, id instanceID, set settings) *instance {
	i := &instance{server: s, id: id, settings: set, turn: make(chan struct{}, 1), began: map[topicPartition]int64{}}
	i.alive, i.kill = context.WithCancel(context.Background())
	return i
}

// begin waits for the calls before this one. The answer is 404 when the instance has ended meanwhile, and 503 when the
// client is gone or the server stops. Without an error, done must follow.
func (i *instance) begin(ctx context.Context) error {
	select {
	case i.turn <- struct{}{}:
		if i.alive.Err() == nil {
			return nil
		}
		<-i.turn
	case <-i.alive.Done():
	case <-ctx.Done():
		return withStatus(http.StatusServiceUnavailable)
	}
	return instanceNotFound()
}

func (i *instance) done() { <-i.turn }

// end ends the call in work, commits the records that were read (with auto.commit.enable), and leaves the group. It
// takes closeTime at most, also when Kafka does not answer. It is called once, after the instance was taken out of
// consumers.
func (i *instance) end() {
	i.kill()
	i.turn <- struct{}{}
	i.disconnect()
	<-i.turn
}

// connect begins to consume as opts say. partitions are those assigned by hand; nil lets the group assign them. The
// client does not fetch before the first read. A failure leaves the instance without a client.
func (i *instance) connect(partitions []topicPartition, opts ...kgo.Opt) error {
	i.mu.Lock()
	i.joined, i.assigned, i.positions = make(chan struct{}), map[topicPartition]bool{}, map[topicPartition]position{}
	i.buffer, i.tooLarge, i.ids, i.gone, i.refused = nil, nil, map[string]kadm.TopicID{}, "", nil
	for _, p := range partitions {
		i.assigned[p] = true
	}
	if partitions != nil {
		close(i.joined)
	}
	i.mu.Unlock()
	connected, hangUp := context.WithCancel(context.Background())
	options, err := connectionOptions(i.server.cfg)
	if err != nil {
		hangUp()
		return err
	}
	held := &share{of: i.server.memory}
	reading, err := toolkafka.ReadingOptions(held.take)
	if err != nil {
		hangUp()
		return err
	}
	client, err := kgo.NewClient(append(append(append(options, reading...), opts...),
		kgo.WithContext(connected),
		kgo.ConsumeResetOffset(i.settings.begin()),
		kgo.FetchMaxWait(fetchTime),
		kgo.MaxConcurrentFetches(0), // fetch only during a read
	)...)
	if err != nil {
		hangUp()
		return err
	}
	i.client, i.hangUp = client, hangUp
	i.mu.Lock()
	defer i.mu.Unlock()
	i.share = held
	return nil
}

// disconnect commits with auto.commit.enable, leaves the group and forgets all partitions, within closeTime. Failures
// are logged: records that are not committed are delivered again, and the group drops a member that does not leave.
func (i *instance) disconnect() {
	if i.client == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if i.settings.autoCommit {
		if err := i.commitRead(ctx); err != nil {
			i.warn("commit before leaving the group", err)
		}
	}
	if err := i.client.LeaveGroupContext(ctx); err != nil {
		i.warn("leave the group", err)
	}
	i.hangUp()
	i.client.Close()
	i.share.close()
	i.client, i.topics, i.pattern, i.manual = nil, nil, "", false
	i.mu.Lock()
	defer i.mu.Unlock()
	i.assigned, i.buffer, i.tooLarge, i.positions, i.began = nil, nil, nil, nil, map[topicPartition]int64{}
}

func (i *instance) warn(what string, err error) {
	i.server.cfg.Log.Warn(what, "group", i.id.group, "instance", i.id.name, "err", kafka.Readable(err))
}

// assignment returns the partitions that the instance reads now, in order.
func (i *instance) assignment() []topicPartition {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.SortedFunc(maps.Keys(i.assigned), comparePartitions)
}

func partitionOf(r *kgo.Record) topicPartition { return topicPartition{r.Topic, r.Partition} }

func partitionList(m map[string][]int32) []topicPartition {
	var list []topicPartition
	for topic, partitions := range m {
		for _, partition := range partitions {
			list = append(list, topicPartition{topic, partition})
		}
	}
	return list
}
