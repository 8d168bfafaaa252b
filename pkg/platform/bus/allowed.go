package bus

import (
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
)

// The bits of Kafka's allowed operations that a service needs. See kafka.TopicState.
const (
	mayRead  = 1 << sarama.AclOperationRead
	mayWrite = 1 << sarama.AclOperationWrite
)

// use is a service's use of a topic.
type use struct {
	topic       string // without prefix
	read, write bool
}

// usesOf returns the uses of a service: it reads its table's topics, and writes those that the contract lets it write.
func usesOf(service string, reads []string) []use {
	var uses []use
	for _, topic := range topicsOf(service, reads) {
		u := use{topic: topic, read: slices.Contains(reads, topic)}
		for _, t := range messages.Registry() {
			u.write = u.write || t.Topic == topic && t.PublishedBy(service)
		}
		uses = append(uses, u)
	}
	return uses
}

// judge returns the reason why the uses are not possible, nil when they are. Missing permissions come first: a topic that may not
// be described is forbidden, whether it exists or not. A broker that returns no operations is trusted, and the first read or
// write then fails.
func judge(c kafka.Config, uses []use, states map[string]kafka.TopicState) error {
	var missing, forbidden []string
	for _, u := range uses {
		name := c.TopicPrefix + u.topic
		state, exists := states[name]
		told := state.Allowed != kafka.NoneTold && state.Allowed != 0
		var lacks []string
		if u.read && (state.Forbidden || told && state.Allowed&mayRead == 0) {
			lacks = append(lacks, "read")
		}
		if u.write && (state.Forbidden || told && state.Allowed&mayWrite == 0) {
			lacks = append(lacks, "write")
		}
		switch {
		case !exists:
			missing = append(missing, name)
		case len(lacks) > 0:
			forbidden = append(forbidden, strings.Join(lacks, " and ")+" "+name)
		}
	}
	if len(forbidden) > 0 {
		return &kafka.Problem{Err: sarama.ErrTopicAuthorizationFailed, Text: fmt.Sprintf("%s may not %s: give it these ACLs, docs/operations.md has the list",
			c.Access.Who(), strings.Join(forbidden, ", "))}
	}
	if len(missing) > 0 {
		return fmt.Errorf("topics are missing: %v (create them with `pas topics create`)", missing)
	}
	return nil
}

// few names the topics with fewer partitions than the contract gives them, "" when there are none. That is allowed, but fewer
// replicas can share the work.
func few(c kafka.Config, uses []use, states map[string]kafka.TopicState) string {
	var fewer []string
	for _, t := range messages.Topics() {
		name := c.TopicPrefix + t.Name
		if n := states[name].Partitions; n < int32(t.Partitions) && slices.ContainsFunc(uses, func(u use) bool { return u.topic == t.Name }) {
			fewer = append(fewer, fmt.Sprintf("%s has %d instead of %d", name, n, t.Partitions))
		}
	}
	if len(fewer) == 0 {
		return ""
	}
	return "fewer partitions than usual, so at most as many instances share the work: " + strings.Join(fewer, ", ") +
		" (adding some moves keys to other partitions: do it while nothing is in work)"
}

// topicsOf returns the topics that service reads, and then those that the contract lets it write. Without this check a missing
// topic would show many seconds after the first message for it.
func topicsOf(service string, reads []string) []string {
	needs := slices.Clone(reads)
	for _, t := range messages.Registry() {
		if t.PublishedBy(service) && !slices.Contains(needs, t.Topic) {
			needs = append(needs, t.Topic)
		}
	}
	return needs
}
