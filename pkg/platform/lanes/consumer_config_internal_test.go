package lanes

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

func TestConsumerSettingsThatExactnessRestsOn(t *testing.T) {
	t.Parallel()
	c := consumerConfig(t.Context(), "x")
	require.NoError(t, c.Validate())
	require.Equal(t, sarama.OffsetOldest, c.Consumer.Offsets.Initial)
	require.Equal(t, sarama.ReadCommitted, c.Consumer.IsolationLevel)
	require.True(t, c.Consumer.Offsets.AutoCommit.Enable)
	require.LessOrEqual(t, c.Consumer.MaxProcessingTime, time.Second, "a partition without room holds up the others")
	require.Equal(t, sarama.V2_8_0_0, c.Version)
	require.Less(t, c.Consumer.Group.Heartbeat.Interval*3, c.Consumer.Group.Session.Timeout)
	require.GreaterOrEqual(t, time.Duration(c.Metadata.Retry.Max)*c.Metadata.Retry.BackoffFunc(1, 1), 15*time.Second, "a member gives up while a broker starts again")
	require.LessOrEqual(t, c.Consumer.Group.Rebalance.Timeout+2*time.Second, c.Net.ReadTimeout, "a join that waits for a slow member is cut")
	require.LessOrEqual(t, c.Consumer.Group.Heartbeat.Interval, 500*time.Millisecond, "members hear late of a rebalance")
	require.LessOrEqual(t, c.Consumer.Group.Rebalance.Retry.Backoff, 250*time.Millisecond, "a join that meets another rebalance waits")
	require.False(t, c.Metadata.AllowAutoTopicCreation)
}
