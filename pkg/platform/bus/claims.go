package bus

import (
	"context"
	"strconv"
	"sync"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"

	"pasdetrois/pkg/messages"
)

// claims follows the partitions that this consumer holds. It reaches watermill-kafka's subscriber through the one hook
// that is given the consumer group's session (its Tracer), because the subscriber itself does not look at it: a message
// that fails again and again would keep a partition that the group has already given to somebody else.
type claims struct {
	topicPrefix string
	gate        *gate
	failing     *failures

	mu   sync.Mutex
	live map[claimKey]*claim
}

type claimKey struct {
	topic     string // as on the broker
	partition int32
}

// claim is one partition in our hands for one session, with the one message of it that is in work.
type claim struct {
	session context.Context
	gate    *gate

	mu       sync.Mutex
	record   messages.Record
	event    string // of record, once decoded
	attempts int    // deliveries of record
	panics   int    // of them, how many panicked
	admitted bool   // counted by the gate
}

func newClaims(topicPrefix string, g *gate, f *failures) *claims {
	return &claims{topicPrefix: topicPrefix, gate: g, failing: f, live: make(map[claimKey]*claim)}
}

// Unmarshal implements kafka.Unmarshaler. It never fails: an error here would end the claim and repeat the same record
// for ever. What the bytes mean is decided in the handler, where a record can be parked.
func (c *claims) Unmarshal(m *sarama.ConsumerMessage) (*message.Message, error) {
	cl := c.find(m.Topic, m.Partition)
	cl.begin(fromSarama(m, c.topicPrefix))
	msg := message.NewMessage(m.Topic+"/"+strconv.Itoa(int(m.Partition))+"/"+strconv.FormatInt(m.Offset, 10), m.Value)
	msg.Metadata.Set("topic", m.Topic)
	msg.Metadata.Set("partition", strconv.Itoa(int(m.Partition)))
	return msg, nil
}

// of returns the claim that msg came through.
func (c *claims) of(msg *message.Message) *claim {
	partition, _ := strconv.Atoi(msg.Metadata.Get("partition"))
	return c.find(msg.Metadata.Get("topic"), int32(partition))
}

func (c *claims) find(topic string, partition int32) *claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := claimKey{topic, partition}
	cl := c.live[key]
	if cl == nil {
		cl = &claim{session: context.Background(), gate: c.gate}
		c.live[key] = cl
	}
	return cl
}

func (c *claims) WrapConsumer(next sarama.Consumer) sarama.Consumer { return next }

func (c *claims) WrapPartitionConsumer(next sarama.PartitionConsumer) sarama.PartitionConsumer {
	return next
}

func (c *claims) WrapSyncProducer(_ *sarama.Config, next sarama.SyncProducer) sarama.SyncProducer {
	return next
}

func (c *claims) WrapConsumerGroupHandler(next sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	return &claimHandler{ConsumerGroupHandler: next, claims: c}
}

type claimHandler struct {
	sarama.ConsumerGroupHandler
	claims *claims
}

func (h *claimHandler) ConsumeClaim(session sarama.ConsumerGroupSession, sc sarama.ConsumerGroupClaim) error {
	cl := &claim{session: session.Context(), gate: h.claims.gate}
	key := claimKey{sc.Topic(), sc.Partition()}
	h.claims.mu.Lock()
	h.claims.live[key] = cl
	h.claims.mu.Unlock()
	defer func() {
		cl.settle()
		r, _ := cl.read()
		h.claims.failing.clear(r) // whatever holds the partition up is not ours any more
		h.claims.mu.Lock()
		delete(h.claims.live, key)
		h.claims.mu.Unlock()
	}()
	return h.ConsumerGroupHandler.ConsumeClaim(markingSession{session, cl}, sc)
}

// markingSession tells the claim when its message's acknowledgement has been marked: only then is the message done for
// the drain.
type markingSession struct {
	sarama.ConsumerGroupSession
	claim *claim
}

func (s markingSession) MarkMessage(m *sarama.ConsumerMessage, metadata string) {
	s.ConsumerGroupSession.MarkMessage(m, metadata)
	s.claim.settle()
}

// begin takes up a newly read record.
func (c *claim) begin(r messages.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record, c.event, c.attempts, c.panics = r, "", 0, 0
}

// admit counts one more delivery and returns the record, or false when the gate is closed.
func (c *claim) admit() (messages.Record, int, bool) {
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
func (c *claim) settle() {
	c.mu.Lock()
	was := c.admitted
	c.admitted = false
	c.mu.Unlock()
	if was {
		c.gate.leave()
	}
}

func (c *claim) panicked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panics++
	return c.panics
}

func (c *claim) setEvent(event string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.event = event
}

func (c *claim) read() (messages.Record, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record, c.event
}

// lost reports whether the partition has been taken from us.
func (c *claim) lost() bool { return c.session.Err() != nil }
