package bus

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

// Each line is a default of the client that loses, doubles or reorders messages when it is left alone.
func TestProducerSettingsThatDurabilityRestsOn(t *testing.T) {
	t.Parallel()
	c := producerConfig(t.Context(), "x")
	require.NoError(t, c.Validate())
	require.Equal(t, sarama.WaitForAll, c.Producer.RequiredAcks)
	require.True(t, c.Producer.Idempotent)
	require.Equal(t, 1, c.Net.MaxOpenRequests)
	require.GreaterOrEqual(t, time.Duration(c.Producer.Retry.Max)*c.Producer.Retry.BackoffFunc(1, 1), 10*time.Second)
	require.GreaterOrEqual(t, c.Metadata.Retry.Max, 30)
	require.False(t, c.Metadata.AllowAutoTopicCreation)
	require.Zero(t, c.Producer.Flush, "a linger only adds latency")
	require.True(t, c.Producer.Return.Successes, "an acknowledgement is what Publish waits for")
	require.Equal(t, sarama.V2_8_0_0, c.Version)
}

// Keys go where Java's client puts them, whose hashes these are; docs/contract.md says which other clients do. The key 1001 goes to
// partition 0 of six with Kafka's client 4.4.0 (make test SUITE=clients), and to 3 with sarama's own default.
func TestKeysGoWhereOtherClientsPutThem(t *testing.T) {
	t.Parallel()
	p := producerConfig(t.Context(), "x").Producer.Partitioner("orders")
	for key, hash := range map[string]int32{"21": -973932308, "foobar": -790332482, "abc": 479470107, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971} {
		want := (hash & 0x7fffffff) % 6
		got, err := p.Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(key)}, 6)
		require.NoError(t, err)
		require.Equal(t, want, got, key)
	}
	m := &sarama.ProducerMessage{Key: sarama.StringEncoder("1001")}
	got, err := p.Partition(m, 6)
	require.NoError(t, err)
	require.Zero(t, got)
	got, err = sarama.NewHashPartitioner("orders").Partition(m, 6)
	require.NoError(t, err)
	require.EqualValues(t, 3, got)
}
