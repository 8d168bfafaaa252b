package kafka

import (
	"fmt"
	"math"

	"github.com/IBM/sarama"
)

// TopicState describes one topic, as a broker answers.
type TopicState struct {
	ID         string // a topic that is made again under its name has another id; "" when the brokers are too old for ids
	Partitions int32
	Forbidden  bool  // this login may not even describe the topic; the other fields are then zero
	Allowed    int32 // one bit for each operation (KIP-430), numbered as in Kafka's AclOperation; NoneTold when absent
}

// NoneTold is Allowed when the broker did not return operations. It is the protocol's own default for the field.
const NoneTold = math.MinInt32

// AskTopics asks a broker about topics by their full names, in one request without retries. Missing topics are left out, so
// the caller finds them by comparing. An error of one topic, other than these, fails the call. The request creates no topic.
func AskTopics(client sarama.Client, names []string) (map[string]TopicState, error) {
	broker := client.LeastLoadedBroker()
	if broker == nil {
		return nil, fmt.Errorf("list topics: %w", sarama.ErrOutOfBrokers)
	}
	// Version 8 is the first with the allowed operations, 10 the first with ids.
	answer, err := broker.GetMetadata(&sarama.MetadataRequest{Version: 10, Topics: names, IncludeTopicAuthorizedOperations: true})
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	states := make(map[string]TopicState, len(names))
	for _, t := range answer.Topics {
		switch {
		case t.Err == sarama.ErrTopicAuthorizationFailed:
			states[t.Name] = TopicState{Forbidden: true}
		case t.Err == sarama.ErrUnknownTopicOrPartition:
		case t.Err != sarama.ErrNoError && len(t.Partitions) == 0:
			return nil, fmt.Errorf("topic %s: %w", t.Name, t.Err)
		default:
			states[t.Name] = TopicState{ID: idOf(t.Uuid), Partitions: int32(len(t.Partitions)), Allowed: t.TopicAuthorizedOperations}
		}
	}
	return states, nil
}

// idOf returns the id as Kafka's tools print it, "" for the zero id of a broker without ids.
func idOf(id sarama.Uuid) string {
	if id == (sarama.Uuid{}) {
		return ""
	}
	return id.String()
}
