package kafka

import (
	"fmt"
	"math"

	"github.com/IBM/sarama"
)

// TopicState describes one topic, as a broker answers.
type TopicState struct {
	ID         string // a topic that is made again under its name has another one; "" when the brokers are too old to tell
	Partitions int32
	Forbidden  bool  // to be described even
	Allowed    int32 // bits; noneTold when the broker does not say
}

const NoneTold = math.MinInt32

// AskTopics asks a broker about topics by their full names. Missing topics are left out.
func AskTopics(client sarama.Client, names []string) (map[string]TopicState, error) {
	broker := client.LeastLoadedBroker()
	if broker == nil {
		return nil, fmt.Errorf("list topics: %w", sarama.ErrOutOfBrokers)
	}
	// Version 8 is the first that tells what is allowed, 10 the first that tells ids.
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

func idOf(id sarama.Uuid) string {
	if id == (sarama.Uuid{}) {
		return ""
	}
	return id.String()
}
