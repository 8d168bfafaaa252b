package bus

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/access"
)

// The bits of what a client may do with a topic, as Kafka tells them.
const (
	mayRead  = 1 << sarama.AclOperationRead
	mayWrite = 1 << sarama.AclOperationWrite
)

// use is what a service does with a topic.
type use struct {
	topic       string // without prefix
	read, write bool
}

// usesOf returns what service does with the topics that it needs: it reads what its table says and writes what the
// contract lets it.
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

// topicState is what a broker says of one topic.
type topicState struct {
	id         string // a topic that is made again under its name has another one; "" when the brokers are too old to tell
	partitions int32
	forbidden  bool  // to be described even
	allowed    int32 // bits; noneTold when the broker does not say
}

const noneTold = math.MinInt32

// askTopics asks a broker about topics by their full names. Those that are missing are left out.
func askTopics(client sarama.Client, names []string) (map[string]topicState, error) {
	broker := client.LeastLoadedBroker()
	if broker == nil {
		return nil, fmt.Errorf("list topics: %w", sarama.ErrOutOfBrokers)
	}
	// Version 8 is the first that tells what is allowed, 10 the first that tells ids.
	answer, err := broker.GetMetadata(&sarama.MetadataRequest{Version: 10, Topics: names, IncludeTopicAuthorizedOperations: true})
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	states := make(map[string]topicState, len(names))
	for _, t := range answer.Topics {
		switch {
		case t.Err == sarama.ErrTopicAuthorizationFailed:
			states[t.Name] = topicState{forbidden: true}
		case t.Err == sarama.ErrUnknownTopicOrPartition:
		case t.Err != sarama.ErrNoError && len(t.Partitions) == 0:
			return nil, fmt.Errorf("topic %s: %w", t.Name, t.Err)
		default:
			states[t.Name] = topicState{id: idOf(t.Uuid), partitions: int32(len(t.Partitions)), allowed: t.TopicAuthorizedOperations}
		}
	}
	return states, nil
}

func idOf(id sarama.Uuid) string {
	if id == (sarama.Uuid{}) {
		return ""
	}
	return id.String()
}

// judge returns why the uses are not possible, nil when they are.
func (c Config) judge(uses []use, states map[string]topicState) error {
	var missing, forbidden []string
	for _, u := range uses {
		name := c.TopicPrefix + u.topic
		state, exists := states[name]
		told := state.allowed != noneTold && state.allowed != 0
		var lacks []string
		if u.read && (state.forbidden || told && state.allowed&mayRead == 0) {
			lacks = append(lacks, "read")
		}
		if u.write && (state.forbidden || told && state.allowed&mayWrite == 0) {
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
		return &access.Problem{Err: sarama.ErrTopicAuthorizationFailed, Text: fmt.Sprintf("%s may not %s: give it these ACLs, docs/operations.md has the list",
			c.Access.Who(), strings.Join(forbidden, ", "))}
	}
	if len(missing) > 0 {
		return fmt.Errorf("topics are missing: %v (create them with `pas topics create`)", missing)
	}
	return nil
}

// few says which topics have fewer partitions than the contract gives them, "" when none has. That is allowed: what it
// costs is that fewer instances can share the work.
func (c Config) few(uses []use, states map[string]topicState) string {
	var few []string
	for _, t := range messages.Topics() {
		name := c.TopicPrefix + t.Name
		if n := states[name].partitions; n < int32(t.Partitions) && slices.ContainsFunc(uses, func(u use) bool { return u.topic == t.Name }) {
			few = append(few, fmt.Sprintf("%s has %d instead of %d", name, n, t.Partitions))
		}
	}
	if len(few) == 0 {
		return ""
	}
	return "fewer partitions than usual, so at most as many instances share the work: " + strings.Join(few, ", ") +
		" (adding some moves keys to other partitions: do it while nothing is in work)"
}

// Remark is good news with something to know beside it: the readiness check passed.
type Remark struct{ text string }

func (r *Remark) Error() string { return r.text }

// remarkOf returns text as a Remark, behind one that there is already.
func remarkOf(before error, text string) error {
	if before != nil {
		text = before.Error() + "; " + text
	}
	return &Remark{text}
}

// Passed makes a readiness check that returns a Remark a passed one.
func (r *Remark) Passed() bool { return true }

// explained is explain for what a connection was opened for.
func (c Config) explained(operation string, err error) error {
	explained := c.explain(err)
	var p *access.Problem
	if errors.As(explained, &p) {
		return p
	}
	return fmt.Errorf("%s: %w", operation, err)
}
