package rest

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// remadeTopic is the answer to a read of a topic that was deleted, or deleted and made anew, after the subscription.
// The client must subscribe again: its positions mean other records in the new topic.
func remadeTopic(topic string) *Error {
	return failed(codeTopicNotFound, "Topic not found: the topic %q was deleted (and perhaps created again). If it is there again, subscribe again: its records are read as auto.offset.reset says.", topic)
}

// topicIDs asks Kafka for the ids of the topics; one that does not exist is missing. It sends a request of its own,
// because the client's cached answer may be five seconds old.
func (s *Server) topicIDs(ctx context.Context, topics []string) (map[string]kadm.TopicID, error) {
	request := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		request.Topics = append(request.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(topic)})
	}
	answer, err := request.RequestWith(ctx, s.client)
	if err != nil {
		return nil, err
	}
	ids := map[string]kadm.TopicID{}
	for _, t := range answer.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); t.Topic != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			ids[*t.Topic] = t.TopicID
		}
	}
	return ids, nil
}

// identify keeps the ids of the subscribed or assigned topics. It ignores a failure, because the next read meets it as
// well. The topics of a pattern get their ids with their first commit.
func (i *instance) identify(ctx context.Context, topics []string) {
	ids, err := i.server.topicIDs(ctx, topics)
	i.mu.Lock()
	defer i.mu.Unlock()
	if err == nil {
		i.ids = ids
	}
}

// stillThere removes from next the offsets of topics that no longer exist under their id, and forgets these topics. If
// such an offset were committed, it would hide the first records of a new topic with the same name.
func (i *instance) stillThere(ctx context.Context, next map[topicPartition]kadm.Offset) error {
	var topics []string
	for p := range next {
		if !slices.Contains(topics, p.Topic) {
			topics = append(topics, p.Topic)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	now, err := i.server.topicIDs(ctx, topics)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, topic := range topics {
		id, there := now[topic]
		known, noted := i.ids[topic]
		switch {
		case there && !noted: // matches a pattern
			i.ids[topic] = id
		case !there || known != id:
			i.forget(topic)
		}
	}
	for p := range next {
		if p.Topic == i.gone {
			delete(next, p)
		}
	}
	return nil
}

// forget removes the records and offsets of a topic that is gone. Reads are answered with an error then, until the next
// subscription. It is called with mu held.
func (i *instance) forget(topic string) {
	i.gone = topic
	for p := range i.positions {
		if p.Topic == topic {
			delete(i.positions, p)
			delete(i.began, p)
		}
	}
	i.buffer = slices.DeleteFunc(i.buffer, func(r *kgo.Record) bool { return r.Topic == topic })
	i.tooLarge = slices.DeleteFunc(i.tooLarge, func(e *kgo.ErrDecompressTooLarge) bool { return e.Topic == topic })
}

// isGone returns the error with which a read is answered when a topic is gone, else nil.
func (i *instance) isGone() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.gone == "" {
		return nil
	}
	return remadeTopic(i.gone)
}
