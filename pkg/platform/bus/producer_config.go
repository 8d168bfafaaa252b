package bus

import (
	"context"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/kafka"
)

// batchOverhead is what a batch may have beside the records that the client counts.
const batchOverhead = 1 << 10

// producerConfig makes an acknowledged message durable and written once: all in-sync replicas, idempotent, one request
// in flight so that a retry cannot reorder, and enough retries to sit out the restart of a broker.
func producerConfig(ctx context.Context, clientID string) *sarama.Config {
	c := kafka.ClientConfig(ctx, clientID)
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	c.Producer.Retry.Max = 120
	c.Producer.Retry.BackoffFunc = kafka.UntilCut(ctx, kafka.RetryPause)
	c.Producer.Transaction.Retry.BackoffFunc = kafka.UntilCut(ctx, kafka.RetryPause) // also paces the opening of any producer
	c.Metadata.Retry.Max = 30
	// A batch that the topic does not take would fail every message in it.
	c.Producer.MaxMessageBytes = kafka.MaxBatchBytes - batchOverhead
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	// The Java and Python clients' hash: an order's messages share a partition whoever wrote them.
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	return c
}
