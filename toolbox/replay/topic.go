package replay

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/toolbox/client"
)

// RemadeError says that a topic was deleted, or made anew, during its replay. The committed offsets then mean records
// of another topic, so they no longer show the progress.
type RemadeError struct{ Service, Topic string }

func (e *RemadeError) Error() string {
	return fmt.Sprintf("the topic %s was deleted (and perhaps created again) during the replay", e.Topic)
}

// Hint says that nothing needs to be done.
func (e *RemadeError) Hint() string {
	return e.Service + " reads the topic that is there now from its beginning by itself"
}

// topicID returns the id of the group's topic. It is "" when the topic does not exist, or Kafka is older than 2.8. It
// sends a request of its own, because the client's cached metadata may name a topic that was deleted since.
func (b *brokers) topicID(ctx context.Context, g client.ConsumerGroup) (string, error) {
	request := kmsg.NewPtrMetadataRequest()
	request.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(g.KafkaTopic)}}
	answer, err := request.RequestWith(ctx, b.client)
	if err != nil {
		return "", fmt.Errorf("ask for the id of %s: %w", g.KafkaTopic, err)
	}
	for _, t := range answer.Topics {
		if kerr.ErrorForCode(t.ErrorCode) == nil && t.TopicID != [16]byte{} {
			return base64.RawURLEncoding.EncodeToString(t.TopicID[:]), nil
		}
	}
	return "", nil
}
