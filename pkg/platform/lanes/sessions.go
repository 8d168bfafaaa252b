package lanes

import (
	"context"
	"slices"
	"sync"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/kafka"
)

// Session is one session of a consumer group: the claims on one topic until the next rebalance. It stands in for sarama's
// own session, for two reasons: each mark carries the topic's id, and the session can be ended when the topic changes.
type Session struct {
	sarama.ConsumerGroupSession
	ctx        context.Context
	end        context.CancelFunc
	topic      string // as on the broker
	TopicID    string // when the session began; "" when the brokers have no topic ids
	partitions int32  // of the topic when the session began
}

func newSession(session sarama.ConsumerGroupSession, topic string, state kafka.TopicState) *Session {
	h := &Session{ConsumerGroupSession: session, topic: topic, TopicID: state.ID, partitions: state.Partitions}
	h.ctx, h.end = context.WithCancel(session.Context())
	return h
}

func (h *Session) Context() context.Context { return h.ctx }

func (h *Session) MarkMessage(m *sarama.ConsumerMessage, _ string) {
	h.ConsumerGroupSession.MarkMessage(m, kafka.BesideOffset(h.TopicID))
}

func (h *Session) MarkOffset(topic string, partition int32, offset int64, _ string) {
	h.ConsumerGroupSession.MarkOffset(topic, partition, offset, kafka.BesideOffset(h.TopicID))
}

func (h *Session) ResetOffset(topic string, partition int32, offset int64, _ string) {
	h.ConsumerGroupSession.ResetOffset(topic, partition, offset, kafka.BesideOffset(h.TopicID))
}

// begin makes offset the next one to read of a partition, whatever was committed before.
func (h *Session) begin(partition int32, offset int64) {
	h.ResetOffset(h.topic, partition, offset, "") // when it is not above the committed one
	h.MarkOffset(h.topic, partition, offset, "")  // when it is
}

// Passed marks offset, because no record between the committed offset and it is ever delivered. It does nothing once the
// partition is lost: another program may have moved the group back since.
func (h *Session) Passed(partition int32, offset int64) {
	if h.ctx.Err() == nil && slices.Contains(h.Claims()[h.topic], partition) {
		h.MarkOffset(h.topic, partition, offset, "")
	}
}

// Sessions are the sessions of this process, by topic, and the ids that topics had before they were made again.
type Sessions struct {
	mu     sync.Mutex
	now    map[string]*Session
	known  map[string]string   // topic: its id in the latest session
	former map[string][]string // topic: ids that no topic has any more
}

func NewSessions() *Sessions {
	return &Sessions{now: make(map[string]*Session), known: make(map[string]string), former: make(map[string][]string)}
}

func (s *Sessions) Of(topic string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now[topic]
}

// set begins a session, and reports whether the topic was made again since the one before: a rebalance may come before the
// monitor compares.
func (s *Sessions) set(h *Session) (madeAgain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now[h.topic] = h
	before := s.known[h.topic]
	if h.TopicID != "" {
		s.known[h.topic] = h.TopicID
	}
	if before == "" || h.TopicID == "" || before == h.TopicID {
		return false
	}
	if !slices.Contains(s.former[h.topic], before) {
		s.former[h.topic] = append(s.former[h.topic], before)
	}
	return true
}

// unset ends and forgets the sessions that stand in for sarama's session.
func (s *Sessions) unset(session sarama.ConsumerGroupSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, h := range s.now {
		if h.ConsumerGroupSession == session {
			h.end()
			delete(s.now, topic)
		}
	}
}

// Rejoin ends the topic's session, so this replica joins the group again at once. Otherwise a member learns of a rebalance
// from the answer to its next heartbeat, which may wait behind a fetch. Call it only when a rebalance has begun: at any other
// time it would begin one.
func (s *Sessions) Rejoin(topic string) {
	if h := s.Of(topic); h != nil {
		h.end()
	}
}

// isFormer reports whether the topic had the id before it was made again: a broker that lags behind still answers with it.
func (s *Sessions) isFormer(topic, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.former[topic], id)
}

// Change is how a topic differs from the one that its session began with.
type Change int

const (
	Unchanged Change = iota
	MadeAgain        // it has another id
	Resized          // it has another number of partitions
)

// Compare ends the topic's session when the topic has changed since the session began. The next session begins at once, and
// the opener decides where it reads.
func (s *Sessions) Compare(topic string, state kafka.TopicState) Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.now[topic]
	switch {
	case h == nil || slices.Contains(s.former[topic], state.ID) && state.ID != "":
		return Unchanged
	case h.TopicID != "" && state.ID != "" && h.TopicID != state.ID:
		s.former[topic] = append(s.former[topic], h.TopicID)
		h.end()
		delete(s.now, topic)
		return MadeAgain
	case h.partitions != state.Partitions:
		h.end()
		delete(s.now, topic)
		return Resized
	}
	return Unchanged
}
