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

// claims follows the partitions that this consumer holds. It reaches watermill-kafka's subscriber through the one hook
// that is given the consumer group's session (its Tracer), because the subscriber itself does not look at it: a message
// that fails again and again would keep a partition that the group has already given to somebody else.
type Claims struct {
	topicPrefix string
	gate        *gate
	failing     *failures
	Sessions    *Sessions
	Notices     *Notices
	opener      *opener // nil: reading begins where the client says

	cfg     kafka.Config
	service string
	replica string
	joins   *prometheus.CounterVec // by topic
	log     *slog.Logger
	detours *detours
	unread  *unread

	lanes  int    // of each partition
	window bounds // of what is taken up of a partition from its oldest unfinished message on

	mu       sync.Mutex
	live     map[Partition][]*Lane // by lane
	passages map[Partition]*passage
}

type Partition struct {
	Topic  string // as on the broker
	Number int32
}

// claim is one lane of a partition that is in our hands for one session, with the one message of it that is in work.
type Lane struct {
	lane    int
	session context.Context
	gate    *gate

	mu       sync.Mutex
	record   messages.Record
	event    string // of record, once decoded
	attempts int    // deliveries of record
	panics   int    // of them, how many panicked
	alone    bool   // record failed before: it shares no batch, so that it holds up no other
	admitted bool   // counted by the gate
	unread   error  // why record stands for a batch that was not read
}

func newClaims(topicPrefix string, g *gate, f *failures) *Claims {
	size := windowPerPartition
	size.process = newBudget(windowOfProcess)
	return &Claims{topicPrefix: topicPrefix, gate: g, failing: f, Sessions: NewSessions(), lanes: lanesPerPartition, window: size,
		live: make(map[Partition][]*Lane), passages: make(map[Partition]*passage),
		log: slog.New(slog.DiscardHandler), detours: newDetours(), unread: newUnread()}
}

// Unmarshal implements kafka.Unmarshaler. It never fails: an error here would end the claim and repeat the same record
// for ever. What the bytes mean is decided in the handler, where a record can be parked.
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

// of returns the claim that msg came through.
func (c *Claims) Of(msg *message.Message) *Lane {
	if cl, ok := msg.Context().Value(Partition{}).(*Lane); ok {
		return cl
	}
	partition, _ := strconv.Atoi(msg.Metadata.Get("partition"))
	lane, _ := strconv.Atoi(msg.Metadata.Get("lane"))
	return c.find(msg.Metadata.Get("topic"), int32(partition), lane)
}

// remember makes of quick for whoever handles msg next.
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

// fetchFailed tells the partitions of a topic, as the broker calls it, that the client's fetch failed.
func (c *Claims) fetchFailed(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, p := range c.passages {
		if key.Topic == topic {
			p.fetchFailed()
		}
	}
}

// stands tells a partition that records wait at offset next and that the group does not read them. The client says
// nothing of a batch that it takes for the beginning of one: it asks for more, for ever. A claim that has handed over
// more than that waits for its handlers, not for the client.
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

// ConsumeClaim consumes one partition through its lanes until the session ends.
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
			h.claims.failing.clear(cl) // whatever holds the lane up is not ours any more
		}
		h.claims.mu.Lock()
		delete(h.claims.live, key)
		delete(h.claims.passages, key)
		h.claims.mu.Unlock()
	}()
	return split(own, passage, h.claims.window, lanes, h.ConsumerGroupHandler.ConsumeClaim)
}

// begin takes up a newly read record.
func (c *Lane) begin(r messages.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record, c.event, c.attempts, c.panics, c.alone, c.unread = r, "", 0, 0, false, nil
}

// notRead notes that the record stands for a batch that was not read, because of err.
func (c *Lane) notRead(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unread = err
}

// readable returns nil, or why the record stands for a batch that was not read.
func (c *Lane) Readable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unread
}

// admit counts one more delivery and returns the record, or false when the gate is closed.
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

// settle tells the gate, once, that the claim's message is no longer in work.
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

// failed notes that the record failed, for a reason that may be another's in its batch or its own.
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

// lost reports whether the partition has been taken from us.
func (c *Lane) Lost() bool { return c.session.Err() != nil }
