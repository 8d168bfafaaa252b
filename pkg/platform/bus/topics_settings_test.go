package bus_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

// Records that wait for the same partition share a batch. A batch above the topic's bound would fail all of them.
func TestNoBatchOfOursIsLargerThanItsTopicTakes(t *testing.T) {
	t.Parallel()
	f := setupAt(t, testkit.Brokers(t))
	_, err := kafka.CreateTopics(t.Context(), f.cfg, []kafka.TopicSpec{
		{Name: messages.TopicOrders, Partitions: 1, ReplicationFactor: 1, MaxBytes: kafka.MaxBatchBytes, Retention: kafka.Retention}})
	require.NoError(t, err)
	var writers sync.WaitGroup
	for range 64 {
		writers.Go(func() {
			record := messages.Record{Topic: messages.TopicOrders, Value: bytes.Repeat([]byte("x"), 60<<10)}
			assert.NoError(t, f.producer.PublishRecords(t.Context(), record, record))
		})
	}
	writers.Wait()
}
