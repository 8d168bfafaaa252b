package lanes

import (
	"context"
	"log/slog"
	"strconv"
	"sync"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
)

// Claims holds the partitions that this replica may read, and the lanes of each. It implements watermill-kafka's
// Unmarshaler and Tracer. The Tracer is the only hook that gets the consumer group's session. The subscriber itself
// ignores the session's end: a record that fails again and again would keep a partition that another replica now reads.
type Claims struct {
	topicPrefix string
	gate        *gate
	failing     *failures
	Sessions    *Sessions
	Notices     *Notices
	opener      *opener // decides where reading begins; nil in tests: where sarama decides

	cfg     kafka.Config
	service string
	replica string
	joins   *prometheus.CounterVec // by topic
	log     *slog.Logger
	detours *detours
	unread  *unread

	lanes  int    // of each partition
	window bounds // of the records taken up from one partition and not marked

	mu       sync.Mutex
	live     map[Partition][]*Lane  // the lanes of each claim
	passages map[Partition]*passage // of each claim
}

type Partition struct {
	Topic  string // as on the broker
	Number int32
}

// Lane is one lane of a claim, with its one record in work. A redelivery keeps what was learnt about the record; the next
// record starts afresh. A handler that outlives its claim still holds its own Lane, and can mark nothing.
type Lane struct {
	lane    int
	session context.Context
	gate    *gate

	mu       sync.Mutex
	record   messages.Record
	event    string // of record, "" until it is decoded
	attempts int    // deliveries of record
	panics   int    // attempts that panicked
	alone    bool   // record failed before: it shares no batch, so it fails no other message
	admitted bool   // counted by the gate
	unread   error  // why record stands for a batch that could not be read
}

func newClaims(topicPrefix string, g *gate, f *failures) *Claims {
	size := windowPerPartition
	size.process = newBudget(windowOfProcess)
	return &Claims{topicPrefix: topicPrefix, gate: g, failing: f, Sessions: NewSessions(), lanes: lanesPerPartition, window: size,
		live: make(map[Partition][]*Lane), passages: make(map[Partition]*passage),
		log: slog.New(slog.DiscardHandler), detours: newDetours(), unread: newUnread()}
}

// Unmarshal implements watermill-kafka's Unmarshaler. It never fails: an error would end the claim, and the record would be
// redelivered for ever. The handler decodes the record, because there it can be parked.
//
// The message says its topic, partition and lane in its metadata: the subscriber makes the message's context itself.
func (c *Claims) Unmarshal(m *sarama.ConsumerMessage) (*message.Message, error) {
	cl := c.find(m.Topic, m.Partition, laneOf(m, c.lanes))
	if r, err, ok := c.unread.take(m, c.topicPrefix); ok {
		cl.begin(r)
		cl.notRead(err)
	} else {
		cl.begin(kafka.FromSarama(m, c.topicPrefix))
	}
	msg := message.NewMessage(m.Topic+"/"+strconv.Itoa(int(m.Partition))+"/"+strconv.FormatInt(m.Offset, 10), m.Value)
	msg.Metadata = message.Metadata{"topic": m.Topic, "partition": strconv.Itoa(int(m.Partition)), "lane": strconv.Itoa(cl.lane)}
	return msg, nil
}

// Of returns the lane that msg came through.
func (c *Claims) Of(msg *message.Message) *Lane {
	if cl, ok := msg.Context().Value(Partition{}).(*Lane); ok {
		return cl
	}
	partition, _ := strconv.Atoi(msg.Metadata.Get("partition"))
	lane, _ := strconv.Atoi(msg.Metadata.Get("lane"))
	return c.find(msg.Metadata.Get("topic"), int32(partition), lane)
}

// remember caches the lane in msg's context; Of finds it there.
func (c *Lane) remember(msg *message.Message) {
	msg.SetContext(context.WithValue(msg.Context(), Partition{}, c))
}

func (c *Claims) find(topic string, partition int32, lane int) *Lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := Partition{topic, partition}
	if c.live[key] == nil {
		c.live[key] = c.newLanes(context.Background())
	}
	return c.live[key][lane]
}

func (c *Claims) newLanes(session context.Context) []*Lane {
	lanes := make([]*Lane, c.lanes)
	for i := range lanes {
		lanes[i] = &Lane{lane: i, session: session, gate: c.gate}
	}
	return lanes
}

// fetchFailed wakes the passages of a topic, named as on the broker: sarama failed to fetch it.
func (c *Claims) fetchFailed(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, p := range c.passages {
		if key.Topic == topic {
			p.fetchFailed()
		}
	}
}

// Stands wakes the passage of a partition when records wait at offset next and the group does not read them. Sarama reports
// no error for a batch that it takes for an incomplete one: it fetches again, for ever. A claim that has handed over records
// behind next waits for its handlers, not for sarama.
func (c *Claims) Stands(key Partition, next int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.passages[key]; p != nil && p.next.Load() <= next {
		p.fetchFailed()
	}
}

func (c *Claims) WrapConsumer(next sarama.Consumer) sarama.Consumer { return next }

func (c *Claims) WrapPartitionConsumer(next sarama.PartitionConsumer) sarama.PartitionConsumer {
	return next
}

func (c *Claims) WrapSyncProducer(_ *sarama.Config, next sarama.SyncProducer) sarama.SyncProducer {
	return next
}

func (c *Claims) WrapConsumerGroupHandler(next sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	return &claimHandler{ConsumerGroupHandler: next, claims: c}
}

type claimHandler struct {
	sarama.ConsumerGroupHandler
	claims *Claims
}

// ConsumeClaim reads one partition through its lanes until the session ends. When it returns, no lane has a record in work
// and none counts as held up.
func (h *claimHandler) ConsumeClaim(session sarama.ConsumerGroupSession, sc sarama.ConsumerGroupClaim) error {
	own := h.claims.holding(session, sc.Topic())
	lanes := h.claims.newLanes(own.Context())
	key := Partition{sc.Topic(), sc.Partition()}
	h.claims.mu.Lock()
	h.claims.live[key] = lanes
	ended, end := context.WithCancel(own.Context())
	defer end()
	passage := h.claims.newPassage(ended, own, sc)
	h.claims.passages[key] = passage
	h.claims.mu.Unlock()
	go passage.watch()
	defer func() {
		for _, cl := range lanes {
			cl.settle()
			h.claims.failing.clear(cl) // the record belongs to the next owner
		}
		h.claims.mu.Lock()
		delete(h.claims.live, key)
		delete(h.claims.passages, key)
		h.claims.mu.Unlock()
	}()
	return split(own, passage, h.claims.window, lanes, h.ConsumerGroupHandler.ConsumeClaim)
}

// begin starts the lane's next record.
func (c *Lane) begin(r messages.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record, c.event, c.attempts, c.panics, c.alone, c.unread = r, "", 0, 0, false, nil
}

// notRead records why the batch that the record stands for could not be read.
func (c *Lane) notRead(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unread = err
}

// Readable returns nil, or why the record stands for a batch that could not be read.
func (c *Lane) Readable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unread
}

// admit counts one more delivery of the record. It returns false when the gate is closed.
func (c *Lane) admit() (messages.Record, int, bool) {
	if !c.gate.enter() {
		return messages.Record{}, 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.admitted = true
	c.attempts++
	return c.record, c.attempts, true
}

// settle takes the lane's record out of work. Only the first call after admit counts.
func (c *Lane) settle() {
	c.mu.Lock()
	was := c.admitted
	c.admitted = false
	c.mu.Unlock()
	if was {
		c.gate.leave()
	}
}

func (c *Lane) Panicked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panics++
	return c.panics
}

func (c *Lane) SetEvent(event string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.event = event
}

// Failed makes the record's next attempts run alone: the record, or another one of its batch, failed.
func (c *Lane) Failed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alone = true
}

func (c *Lane) Alone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alone
}

func (c *Lane) Read() (messages.Record, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record, c.event
}

// Lost reports whether another member may read the partition by now.
func (c *Lane) Lost() bool { return c.session.Err() != nil }
