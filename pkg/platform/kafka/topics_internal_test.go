package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

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

func TestAskingAHungBrokerForItsTopicsEndsWithTheContext(t *testing.T) {
	t.Parallel()
	addr := hung(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := ListTopics(ctx, Config{Brokers: []string{addr}})
		ended <- err
	}()
	err := answered(t, ended, 12*time.Second, "it waits for a broker that hangs")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, addr+"] does not answer")
}
