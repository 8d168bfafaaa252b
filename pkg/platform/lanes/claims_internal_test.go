package lanes

import (
	"context"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
)

func (c fakeClaim) Topic() string    { return "p.orders" }
func (c fakeClaim) Partition() int32 { return 3 }

func (c fakeClaim) InitialOffset() int64 { return 0 }

// consumerFunc is a watermill handler of claims in a few lines.
type consumerFunc func(session sarama.ConsumerGroupSession, m *sarama.ConsumerMessage)

func (consumerFunc) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (consumerFunc) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (f consumerFunc) ConsumeClaim(session sarama.ConsumerGroupSession, sc sarama.ConsumerGroupClaim) error {
	for m := range sc.Messages() {
		f(session, m)
	}
	return nil
}

// consumeOne has one record go through a claim and returns when the claim has ended.
func consumeOne(t *testing.T, c *Claims, session sarama.ConsumerGroupSession, m *sarama.ConsumerMessage, f consumerFunc) {
	t.Helper()
	sc := fakeClaim{messages: make(chan *sarama.ConsumerMessage, 1)}
	sc.messages <- m
	once := consumerFunc(func(session sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) {
		f(session, m)
		close(sc.messages)
	})
	require.NoError(t, c.WrapConsumerGroupHandler(once).ConsumeClaim(session, sc))
}

// tellingSession reports how many messages were in work when one was marked.
type tellingSession struct {
	sarama.ConsumerGroupSession
	gate   *gate
	inWork []int
}

func (s *tellingSession) Context() context.Context { return context.Background() }
func (s *tellingSession) MarkMessage(*sarama.ConsumerMessage, string) {
	s.inWork = append(s.inWork, s.gate.inside())
}

// The drain waits for what is in work; what leaves the groups commits the marks. So a message is in work until it is
// marked, else a shutdown in between would forget its acknowledgement.
func TestAMessageIsInWorkUntilItsAcknowledgementIsMarked(t *testing.T) {
	t.Parallel()
	c := newClaims("p.", newGate(), newFailures())
	session := &tellingSession{gate: c.gate}
	m := &sarama.ConsumerMessage{Topic: "p.orders", Partition: 3, Key: []byte("k")}
	consumeOne(t, c, session, m, func(session sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) {
		msg, err := c.Unmarshal(m)
		require.NoError(t, err)
		_, _, admitted := c.Of(msg).admit()
		require.True(t, admitted)
		session.MarkMessage(m, "")
	})
	require.Equal(t, []int{1}, session.inWork)
	require.Zero(t, c.gate.inside())
}

// A claim that ends with a message in work, cut off by a shutdown, leaves nothing that a drain would wait for, no
// failure that readiness would tell, and no lanes.
func TestTheEndOfAClaimLetsGoOfWhatItHad(t *testing.T) {
	t.Parallel()
	c := newClaims("p.", newGate(), newFailures())
	m := &sarama.ConsumerMessage{Topic: "p.orders", Partition: 3, Key: []byte("k")}
	consumeOne(t, c, &tellingSession{gate: c.gate}, m, func(_ sarama.ConsumerGroupSession, m *sarama.ConsumerMessage) {
		msg, err := c.Unmarshal(m)
		require.NoError(t, err)
		cl := c.Of(msg)
		_, _, admitted := cl.admit()
		require.True(t, admitted)
		c.failing.set(cl, cl.record, context.DeadlineExceeded)
		require.Error(t, c.failing.check())
	})
	require.Zero(t, c.gate.inside())
	require.NoError(t, c.failing.check())
	require.Empty(t, c.live)
}

// Each delivery counts once, whoever settles it first.
func TestSettlingTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	c := newClaims("", newGate(), newFailures())
	a, b := c.newLanes(context.Background())[0], c.newLanes(context.Background())[0]
	a.admit()
	b.admit()
	a.settle()
	a.settle()
	require.Equal(t, 1, c.gate.inside())
}

// Whatever the bytes, reading them is no error: that would end the claim and repeat the record for ever.
func TestUnmarshallingNeverFails(t *testing.T) {
	t.Parallel()
	c := newClaims("p.", newGate(), newFailures())
	for _, m := range []*sarama.ConsumerMessage{
		{}, {Topic: "p.orders"}, {Topic: "other", Key: []byte{}, Value: []byte{}}, {Topic: "p.orders", Value: []byte("\xff\x00")},
		{Topic: "p.orders", Headers: []*sarama.RecordHeader{nil, {}, {Key: []byte("k")}}, Offset: 1 << 60, Partition: 1 << 30},
	} {
		msg, err := c.Unmarshal(m)
		require.NoError(t, err)
		r, _ := c.Of(msg).Read()
		require.Equal(t, m.Value, r.Value)
		require.Equal(t, m.Offset, r.Offset)
	}
}

// Records without key have no order to keep, so they need not wait for each other.
func TestRecordsWithoutKeyAreSpreadOverTheLanes(t *testing.T) {
	t.Parallel()
	used := make(map[int]bool)
	for offset := range int64(lanesPerPartition) {
		used[laneOf(&sarama.ConsumerMessage{Offset: offset}, lanesPerPartition)] = true
	}
	require.Len(t, used, lanesPerPartition)
}

// What is known of one record says nothing about the next one of its lane.
func TestANewRecordBeginsAfresh(t *testing.T) {
	t.Parallel()
	cl := newClaims("", newGate(), newFailures()).newLanes(context.Background())[0]
	cl.SetEvent(messages.EventOrderPlaced)
	cl.Failed()
	require.Equal(t, 1, cl.Panicked())
	require.Equal(t, 2, cl.Panicked())
	cl.begin(messages.Record{Topic: "t"})
	r, event := cl.Read()
	require.Equal(t, "t", r.Topic)
	require.Empty(t, event)
	require.False(t, cl.Alone())
	require.Equal(t, 1, cl.Panicked())
}

// A handler that outlives its claim, at the end of a drain, still speaks of its own record and of no other.
func TestAMessageRemembersItsClaim(t *testing.T) {
	t.Parallel()
	c := newClaims("", newGate(), newFailures())
	msg, err := c.Unmarshal(&sarama.ConsumerMessage{Topic: "t", Value: []byte("its own")})
	require.NoError(t, err)
	cl := c.Of(msg)
	cl.remember(msg)
	clear(c.live) // the claim has ended
	r, _ := c.Of(msg).Read()
	require.Equal(t, "its own", string(r.Value))
}
