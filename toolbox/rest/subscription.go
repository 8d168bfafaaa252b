package rest

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// subscribeRequest is the body of a subscription: topics or a pattern, never both.
type subscribeRequest struct {
	Topics  []string `json:"topics"`
	Pattern *string  `json:"topic_pattern"`
}

type partitionsRequest struct {
	Partitions []topicPartition `json:"partitions"`
}

// subscribe makes the instance a member of its group that reads these topics, which must exist. A different
// subscription replaces the one before: the instance commits, leaves the group and joins it again. The same one changes
// nothing, unless a topic is gone.
func (i *instance) subscribe(ctx context.Context, in subscribeRequest) error {
	switch {
	case i.manual:
		return illegalState("Subscription to topics, partitions and pattern are mutually exclusive: this instance has assigned partitions")
	case in.Topics != nil && in.Pattern != nil:
		return illegalState("Subscription to topics, partitions and pattern are mutually exclusive")
	case in.Pattern != nil:
		if err := readable(ctx, everyTopic); err != nil {
			return failed(codeForbidden, "A topic_pattern needs a token that may read every topic: name the topics.")
		}
		return i.subscribePattern(*in.Pattern)
	case len(in.Topics) == 0:
		return invalid("topics may not be empty")
	}
	if err := readable(ctx, in.Topics...); err != nil {
		return err
	}
	for _, topic := range in.Topics {
		if _, err := i.server.describe(ctx, topic); err != nil {
			return err
		}
	}
	slices.Sort(in.Topics)
	in.Topics = slices.Compact(in.Topics)
	if !slices.Equal(in.Topics, i.topics) || i.isGone() != nil {
		i.disconnect()
		if err := i.joinGroup(kgo.ConsumeTopics(in.Topics...)); err != nil {
			return err
		}
		i.topics = in.Topics
		i.identify(ctx, in.Topics)
	}
	return nil
}

// subscribePattern subscribes to all topics whose whole name matches, also later ones. Kafka's internal topics (__)
// never match.
func (i *instance) subscribePattern(pattern string) error {
	if _, err := regexp.Compile(pattern); err != nil || pattern == "" {
		return invalid("topic_pattern %q is not a regular expression", pattern)
	}
	if pattern != i.pattern || i.isGone() != nil {
		i.disconnect()
		if err := i.joinGroup(kgo.ConsumeRegex(), kgo.ConsumeTopics("^(?:"+pattern+")$"), kgo.ConsumeExcludeTopics("^__")); err != nil {
			return err
		}
		i.pattern = pattern
	}
	return nil
}

// subscription answers with the topics; for a pattern, with the topics of which the instance has a partition now.
func (i *instance) subscription(context.Context, *http.Request) (any, error) {
	topics := slices.Clone(i.topics)
	if i.pattern != "" {
		for _, p := range i.assignment() {
			topics = append(topics, p.Topic)
		}
		slices.Sort(topics)
		topics = slices.Compact(topics)
	}
	if topics == nil {
		topics = []string{}
	}
	return map[string][]string{"topics": topics}, nil
}

// unsubscribe commits and leaves the group, or ends the reading of given partitions. The instance stays.
func (i *instance) unsubscribe(w http.ResponseWriter, _ *http.Request) error {
	i.disconnect()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// assign makes the instance read these partitions, from their committed offsets, without being a member of the group.
// It replaces an earlier assignment; an empty list ends it. The group does not see such a reader, so one of its members
// may read the same records.
func (i *instance) assign(ctx context.Context, in partitionsRequest) error {
	if i.topics != nil || i.pattern != "" {
		return illegalState("Subscription to topics, partitions and pattern are mutually exclusive: this instance has a subscription")
	}
	if err := i.check(ctx, in.Partitions); err != nil {
		return err
	}
	i.disconnect()
	if len(in.Partitions) > 0 {
		from, err := i.startOf(ctx, in.Partitions)
		if err != nil {
			return err
		}
		if err := i.connect(in.Partitions, kgo.ConsumePartitions(from)); err != nil {
			return err
		}
		i.manual = true
		i.identify(ctx, slices.Collect(maps.Keys(from)))
	}
	return nil
}

func (i *instance) assignments(context.Context, *http.Request) (any, error) {
	list := i.assignment()
	if list == nil {
		list = []topicPartition{}
	}
	return partitionsRequest{list}, nil
}

// check returns an error for the first partition that does not exist, or that the caller may not read.
func (i *instance) check(ctx context.Context, list []topicPartition) error {
	for _, p := range list {
		if err := readable(ctx, p.Topic); err != nil {
			return err
		}
		detail, err := i.server.describe(ctx, p.Topic)
		if err != nil {
			return err
		}
		if _, ok := detail.Partitions[p.Partition]; !ok {
			return partitionNotFound(p.Topic, p.Partition)
		}
	}
	return nil
}

// startOf returns the offsets at which partitions assigned by hand begin: the group's committed offset, else the one
// that auto.offset.reset means now.
func (i *instance) startOf(ctx context.Context, list []topicPartition) (map[string]map[int32]kgo.Offset, error) {
	found, err := i.groupOffsets(ctx)
	if err != nil {
		return nil, kafkaError(err)
	}
	from := map[string]map[int32]kgo.Offset{}
	for _, p := range list {
		if from[p.Topic] == nil {
			from[p.Topic] = map[int32]kgo.Offset{}
		}
		from[p.Topic][p.Partition] = i.settings.begin()
		if o, ok := found.Lookup(p.Topic, p.Partition); ok && o.Err == nil && o.At >= 0 {
			from[p.Topic][p.Partition] = kgo.NewOffset().At(o.At)
		}
	}
	return i.beginAt(ctx, from)
}

func comparePartitions(a, b topicPartition) int {
	if order := strings.Compare(a.Topic, b.Topic); order != 0 {
		return order
	}
	return int(a.Partition - b.Partition)
}
