package lanes

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/kafka"
)

const (
	// answerBytes bounds one answer to a fetch, over all partitions of a topic. A larger batch comes alone.
	answerBytes = kafka.MaxBatchBytes
	// partitionBytes is one partition's share of an answer: a long one must not keep the others out.
	partitionBytes = answerBytes / 4
	// clientInflates bounds the batches that sarama inflates. Sarama inflates a whole answer at once, and an answer has room
	// for hundreds of batches of padding, so the bound is small. A passage reads larger batches, up to kafka.MaxInflated.
	clientInflates = kafka.MaxBatchBytes
	// readAhead bounds the records of a partition that wait between sarama and the lanes. Each may be large.
	readAhead = 1
	// lastRoomWait is the longest time that one partition without room holds up the others.
	lastRoomWait = 500 * time.Millisecond
	// lastFetchRetry is the longest pause before a failed fetch is retried.
	lastFetchRetry = 2 * time.Second
)

// boundInflating sets clientInflates, once: it is sarama's only setting that is a global variable.
var boundInflating = sync.OnceFunc(func() { sarama.MaxDecompressedBatchSize = clientInflates })

// consumerConfig starts a new group at the oldest record, reads committed records only, and lets sarama commit the marks in
// the background.
func consumerConfig(ctx context.Context, clientID string) *sarama.Config {
	c := kafka.ClientConfig(ctx, clientID)
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.Offsets.AutoCommit.Enable = true
	c.Consumer.Offsets.AutoCommit.Interval = 500 * time.Millisecond
	c.Consumer.Return.Errors = true
	c.Consumer.Fetch.Default, c.Consumer.Fetch.MaxBytes = partitionBytes, answerBytes
	c.ChannelBufferSize = readAhead
	// Sarama fetches for all partitions of a broker at once, and waits for the slowest of them. It leaves a partition with a
	// full window out of the fetches after this time, twice.
	c.Consumer.MaxProcessingTime = lastRoomWait / 2
	// How long a replica may be silent before Kafka takes it for dead. Peers remove a dead replica sooner: see package presence.
	c.Consumer.Group.Session.Timeout = 10 * time.Second
	// The answer to a heartbeat asks a member to join again. The partitions of all members stand still until the last one
	// has joined.
	c.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	// A member that gives up while a broker restarts comes back as a new member, and the group waits for the old one's session
	// to time out. So heartbeats, and the session with them, outlast a restart.
	c.Metadata.Retry.Max = 60
	// Kafka answers a join when all members have joined. The answer must come before the connection's read time-out, else
	// sarama begins again as a new member, and all wait for the old one.
	c.Consumer.Group.Rebalance.Timeout = 12 * time.Second
	// A join that meets another rebalance, or a coordinator that moves, is retried soon and often.
	c.Consumer.Group.Rebalance.Retry.Backoff = kafka.RetryPause
	c.Consumer.Group.Rebalance.Retry.Max = 40
	return c
}
