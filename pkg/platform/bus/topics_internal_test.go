package bus

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/messages"
)

func TestAServiceNeedsWhatItReadsAndWhatTheContractLetsItWrite(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{messages.TopicPayments, messages.TopicNotifications, messages.TopicOrderFailures},
		topicsOf(messages.ServicePayments, []string{messages.TopicPayments}))
	require.Equal(t, []string{messages.TopicOrders, messages.TopicPayments, messages.TopicNotifications, messages.TopicOrderFailures},
		topicsOf(messages.ServiceOrders, []string{messages.TopicOrders}))
	require.Equal(t, []string{messages.TopicNotifications}, topicsOf(messages.ServiceNotifications, []string{messages.TopicNotifications}))
}

func TestATopicThatSomebodyElseCreatedMeanwhileIsNoFailure(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "__internal", "mine"))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	cluster.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range req.(*kmsg.CreateTopicsRequest).Topics {
			answer := kmsg.NewCreateTopicsResponseTopic()
			answer.Topic, answer.ErrorCode = asked.Topic, kerr.TopicAlreadyExists.Code
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, true
	})
	cfg := Config{Brokers: cluster.ListenAddrs()}
	created, err := CreateTopics(t.Context(), cfg, []TopicSpec{{Name: "theirs", Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	require.Empty(t, created)

	topics, err := ListTopics(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, topics, 1, "those of Kafka itself are left out")
	require.Equal(t, "mine", topics[0].Name)
}
