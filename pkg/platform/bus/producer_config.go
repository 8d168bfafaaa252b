package bus

import (
	"context"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/kafka"
)

// batchOverhead is an upper bound, in bytes, for the part of a batch that sarama does not count.
const batchOverhead = 1 << 10

// producerConfig makes an acknowledged message durable and written once. It asks for all in-sync replicas and idempotence, and
// has one request in flight, so that a retry cannot reorder. The retries outlast a broker's restart: 120 pauses of 250 ms are
// half a minute, beside the time of the requests.
func producerConfig(ctx context.Context, clientID string) *sarama.Config {
	c := kafka.ClientConfig(ctx, clientID)
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	c.Producer.Retry.Max = 120
	c.Producer.Retry.BackoffFunc = kafka.UntilCut(ctx, kafka.RetryPause)
	c.Producer.Transaction.Retry.BackoffFunc = kafka.UntilCut(ctx, kafka.RetryPause) // also paces the opening of any producer
	c.Metadata.Retry.Max = 30
	// A batch above the topic's limit would fail every message in it.
	c.Producer.MaxMessageBytes = kafka.MaxBatchBytes - batchOverhead
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	// The hash of the Java and Python clients: the messages of an order share a partition, whichever client wrote them.
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	return c
}
