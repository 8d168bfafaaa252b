package lanes

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/platform/kafka"
)

// opener decides where reading begins when a session begins. Sarama resumes at the committed offset, and silently takes
// another one when that offset is outside of the log. It cannot see that the offset belongs to a topic that was deleted.
type opener struct {
	cfg      kafka.Config
	service  string
	log      *slog.Logger
	unread   *prometheus.CounterVec // records that were deleted before they were read, by topic
	notices  *Notices
	sessions *Sessions
}

// Start is where reading of a partition begins, and why.
type Start struct {
	Offset int64
	why    reason
	missed int64 // offsets that were deleted unread
}

type reason int

const (
	asCommitted      reason = iota
	nothingCommitted        // or the brokers dropped it, since the group had no members for long
	topicIsNew              // the committed offset belongs to a topic of the same name that was deleted
	logIsShort              // the log ends before the committed offset: the brokers lost records
	logWasCut               // records behind the committed offset were deleted
)

// StartOf decides where to begin. far is the group's progress, topicID the topic's id now, log the partition's log now.
// Where it cannot be certain that records were handled, it begins at the first record: a duplicate does no harm.
func StartOf(far kafka.Progress, topicID string, log kafka.LogState) Start {
	switch {
	case far.Next < 0:
		return Start{Offset: log.First, why: nothingCommitted}
	case !far.Of(topicID):
		return Start{Offset: log.First, why: topicIsNew}
	case far.Next > log.End:
		return Start{Offset: log.First, why: logIsShort}
	case far.Next < log.First:
		return Start{Offset: log.First, why: logWasCut, missed: log.First - far.Next}
	}
	return Start{Offset: far.Next}
}

// open runs before a session's first fetch. An error ends the session, and sarama begins another one a second later.
func (o *opener) open(session sarama.ConsumerGroupSession) error {
	for topic, partitions := range session.Claims() {
		if err := o.openTopic(session, topic, partitions); err != nil {
			if session.Context().Err() == nil {
				o.log.Warn("could not find where to begin reading, trying again", "topic", topic, "err", err)
			}
			return fmt.Errorf("find where to begin reading %s: %w", topic, err)
		}
	}
	return nil
}

// openTopic finds the start of each partition of one topic. It uses a connection of its own, which ends with the session.
//
// A partition without a leader keeps its committed offset when that offset belongs to the topic; the others are read
// meanwhile.
func (o *opener) openTopic(session sarama.ConsumerGroupSession, topic string, partitions []int32) error {
	client, admin, err := kafka.Connect(session.Context(), o.cfg, o.service)
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }() // closes the client with it
	states, err := kafka.AskTopics(client, []string{topic})
	if err != nil {
		return err
	}
	state, exists := states[topic]
	switch {
	case !exists:
		return fmt.Errorf("the topic is missing: %w", sarama.ErrUnknownTopicOrPartition)
	case o.sessions.isFormer(topic, state.ID):
		return errors.New("a broker still answers with the id of the deleted topic")
	}
	short := topic[len(o.cfg.TopicPrefix):]
	far, err := o.cfg.AskProgress(admin, o.cfg.Group(o.service, short), topic, partitions)
	if err != nil {
		return err
	}
	logs, untold := kafka.AskLogs(client, topic, partitions)
	h := newSession(session, topic, state)
	found := make(map[reason]int)
	for _, p := range partitions {
		if err := untold[p]; err != nil && far[p].Of(state.ID) {
			o.log.Debug("a partition has no leader: reading resumes at the committed offset", "topic", short, "partition", p, "err", err)
			continue // the client waits for the partition's leader, and the others are read meanwhile
		} else if err != nil {
			return err
		}
		s := StartOf(far[p], state.ID, logs[p])
		if s.Offset != far[p].Next || state.ID != far[p].TopicID {
			h.begin(p, s.Offset)
		}
		found[s.why]++
		if s.why == logWasCut {
			o.missed(short, p, far[p].Next, s)
		}
	}
	n := found[topicIsNew]
	if o.sessions.set(h) || n > 0 {
		o.notices.MadeAgain(o.log, short, state.ID)
	}
	if n > 0 {
		o.log.Warn("offsets of the topic that was deleted do not count: reading begins at the first record", "topic", short, "partitions", n)
	}
	if n := found[nothingCommitted]; n > 0 {
		o.log.Info("nothing is committed, or that was too long ago: reading begins at the first record", "topic", short, "partitions", n)
	}
	if n := found[logIsShort]; n > 0 {
		text := fmt.Sprintf("%d partitions of %s end before the offset that was read up to: the brokers lost records, and reading begins at the first one", n, short)
		o.log.Error(text, "topic", short)
		o.notices.Add(text)
	}
	return nil
}

// missed reports records that were deleted before they were read: in the metric, the log and the notices.
func (o *opener) missed(topic string, partition int32, next int64, s Start) {
	o.unread.WithLabelValues(topic).Add(float64(s.missed))
	text := fmt.Sprintf("%d records of %s/%d were deleted before they were read, offsets %d to %d", s.missed, topic, partition, next, s.Offset-1)
	o.log.Error(text, "topic", topic, "partition", partition, "offset", next)
	o.notices.Add(text)
}

// Setup runs the opener before the session's claims begin.
func (h *claimHandler) Setup(session sarama.ConsumerGroupSession) error {
	if h.claims.opener != nil {
		if err := h.claims.opener.open(session); err != nil {
			return err
		}
	}
	return h.ConsumerGroupHandler.Setup(session)
}

// Cleanup forgets the session after its claims have ended.
func (h *claimHandler) Cleanup(session sarama.ConsumerGroupSession) error {
	h.claims.Sessions.unset(session)
	return h.ConsumerGroupHandler.Cleanup(session)
}

// holding returns the Session that stands in for sarama's session.
func (c *Claims) holding(session sarama.ConsumerGroupSession, topic string) *Session {
	if h := c.Sessions.Of(topic); h != nil && h.ConsumerGroupSession == session {
		return h
	}
	// The topic changed before its claims began, and the session ends by itself.
	h := newSession(session, topic, kafka.TopicState{})
	if c.opener != nil {
		h.end()
	}
	return h
}
