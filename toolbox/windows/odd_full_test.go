//go:build full

package windows

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// odd writes n odd records to the topic.
func (c counting) odd(t *testing.T, topic string, n int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer client.Close()
	random := rand.New(rand.NewPCG(11, 0))
	begin := time.Now().Add(-10 * time.Minute) // Kafka may delete what is older than its retention
	for i, value := range oddMixtures(n) {
		r := &kgo.Record{Topic: c.Kafka.TopicPrefix + topic, Partition: int32(i % 3), Value: []byte(value), Headers: oddHeaders(random),
			Timestamp: begin.Add(time.Duration(i) * 10 * time.Minute / time.Duration(n))}
		client.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	require.NoError(t, client.Flush(t.Context()))
}
