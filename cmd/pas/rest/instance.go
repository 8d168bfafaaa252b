package rest

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// place is one partition of a topic.
type place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// instance is one consumer. Its calls come one after the other (begin, done); only Kafka's news about partitions comes
// in between, and touches nothing but what mu guards.
type instance struct {
	server   *Server
	id       instanceID
	settings settings
	turn     chan struct{}   // held by the call in work
	alive    context.Context // ends when the instance does
	kill     context.CancelFunc

	// Of the call in work:
	client  *kgo.Client        // nil before a subscription or assignment
	hangUp  context.CancelFunc // makes the client's pending requests give up
	topics  []string
	pattern string
	manual  bool // partitions are assigned by hand

	mu        sync.Mutex
	joined    chan struct{}      // closed when the group gave its first answer
	assigned  map[place]bool     // partitions to read
	buffer    []*kgo.Record      // from Kafka, for the next answers
	answer    []item             // in the answer that is being made
	positions map[place]position // behind what was read
}

// position is the next offset to read, as far as answers were sent.
type position struct {
	kgo.EpochOffset
	uncommitted bool
}

func newInstance(s *Server, id instanceID, set settings) *instance {
	i := &instance{server: s, id: id, settings: set, turn: make(chan struct{}, 1)}
	i.alive, i.kill = context.WithCancel(context.Background())
	return i
}

// begin waits for the calls before this one. It fails when the instance ends, or the client or the server goes away.
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

// end ends the call in work, if any, commits what was read if that is wanted, and leaves the group. It takes seconds at
// most, also when Kafka does not answer. It is called once.
func (i *instance) end() {
	i.kill()
	i.turn <- struct{}{}
	i.disconnect()
	<-i.turn
}

// connect begins to consume as opts say; partitions are those assigned by hand, or nil to let the group assign.
func (i *instance) connect(partitions []place, opts ...kgo.Opt) error {
	i.mu.Lock()
	i.joined, i.assigned, i.positions = make(chan struct{}), map[place]bool{}, map[place]position{}
	i.buffer = nil
	for _, p := range partitions {
		i.assigned[p] = true
	}
	if partitions != nil {
		close(i.joined)
	}
	i.mu.Unlock()
	connected, hangUp := context.WithCancel(context.Background())
	client, err := kgo.NewClient(append(append(connectionOptions(i.server.cfg), opts...),
		kgo.WithContext(connected),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(i.settings.begin()),
		kgo.FetchMaxBytes(4<<20),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.MaxConcurrentFetches(1),
	)...)
	if err != nil {
		hangUp()
		return err
	}
	i.client, i.hangUp = client, hangUp
	return nil
}

// joinGroup begins to consume as a member of the group.
func (i *instance) joinGroup(opts ...kgo.Opt) error {
	return i.connect(nil, append(opts,
		kgo.ConsumerGroup(i.id.group),
		kgo.Balancers(kgo.RangeBalancer()), // what every other kind of client understands
		kgo.RebalanceTimeout(20*time.Second),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) { i.gained(added) }),
		kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, gone map[string][]int32) {
			if i.settings.autoCommit {
				if err := i.commitGroup(ctx, client, i.pending(placesOf(gone))); err != nil {
					i.warn("commit before giving partitions away", err)
				}
			}
			i.lost(gone)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, gone map[string][]int32) { i.lost(gone) }),
		kgo.AdjustFetchOffsetsFn(i.beginAt),
	)...)
}

// disconnect commits if that is wanted, leaves the group and forgets all partitions.
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
	i.client, i.topics, i.pattern, i.manual = nil, nil, "", false
	i.mu.Lock()
	defer i.mu.Unlock()
	i.assigned, i.buffer, i.positions = nil, nil, nil
}

func (i *instance) warn(what string, err error) {
	i.server.cfg.Log.Warn(what, "group", i.id.group, "instance", i.id.name, "err", err)
}

func (i *instance) gained(added map[string][]int32) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range placesOf(added) {
		i.assigned[p] = true
	}
	select {
	case <-i.joined:
	default:
		close(i.joined)
	}
}

// lost drops what was fetched of partitions that another member reads from now on. It gets all that was not answered
// with, also what is in an answer that is not sent yet.
func (i *instance) lost(gone map[string][]int32) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range placesOf(gone) {
		delete(i.assigned, p)
		delete(i.positions, p)
	}
	i.buffer = slices.DeleteFunc(i.buffer, func(r *kgo.Record) bool { return !i.assigned[placeOf(r)] })
	i.answer = slices.DeleteFunc(i.answer, func(it item) bool { return !i.assigned[placeOf(it.record)] })
}

// beginAt turns "the start" and "the end" into offsets when the group gives partitions without a committed one: from
// then on the instance has a position that can be moved, although nothing was read yet.
func (i *instance) beginAt(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if i.settings.reset == "none" {
		return offsets, nil
	}
	var topics []string
	for topic, partitions := range offsets {
		for _, offset := range partitions {
			if offset.EpochOffset().Offset < 0 && !slices.Contains(topics, topic) {
				topics = append(topics, topic)
			}
		}
	}
	if len(topics) == 0 {
		return offsets, nil
	}
	listed, err := i.server.listReset(ctx, i.settings.reset, topics)
	if err != nil {
		i.warn("look up where to begin", err)
		return offsets, nil
	}
	for topic, partitions := range offsets {
		for number, offset := range partitions {
			if found, ok := listed.Lookup(topic, number); ok && found.Err == nil && offset.EpochOffset().Offset < 0 {
				partitions[number] = kgo.NewOffset().At(found.Offset)
			}
		}
	}
	return offsets, nil
}

// listReset returns where "earliest" or "latest" is now in each partition of the topics.
func (s *Server) listReset(ctx context.Context, reset string, topics []string) (kadm.ListedOffsets, error) {
	if reset == "earliest" {
		return s.admin.ListStartOffsets(ctx, topics...)
	}
	return s.admin.ListEndOffsets(ctx, topics...)
}

// assignment returns the partitions that are read, in order.
func (i *instance) assignment() []place {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.SortedFunc(maps.Keys(i.assigned), comparePlaces)
}

func placeOf(r *kgo.Record) place { return place{r.Topic, r.Partition} }

func placesOf(m map[string][]int32) []place {
	var list []place
	for topic, partitions := range m {
		for _, partition := range partitions {
			list = append(list, place{topic, partition})
		}
	}
	return list
}
