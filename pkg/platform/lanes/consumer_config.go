package lanes

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/kafka"
)

const (
	// answerBytes bounds one answer to a fetch, of all partitions of a topic together. A batch that is larger comes alone.
	answerBytes = kafka.MaxBatchBytes
	// partitionBytes is one partition's share of an answer: a full one must not keep the others out.
	partitionBytes = answerBytes / 4
	// clientInflates is how much the client may inflate one batch to. It inflates a whole answer at once, and an answer has
	// room for hundreds of batches that are nothing but padding, so the bound is small. A batch that is larger is read by
	// a passage, up to MaxInflated.
	clientInflates = kafka.MaxBatchBytes
	// readAhead is how many messages of a partition wait between the client and the lanes. Each may be large.
	readAhead = 1
	// lastRoomWait is the longest time for which one partition without room keeps the others from being read.
	lastRoomWait = 500 * time.Millisecond
	// lastFetchRetry is the longest pause before a failed fetch is tried again.
	lastFetchRetry = 2 * time.Second
)

// boundInflating bounds what the client inflates. It is the client's only setting that is the process's, so it is set once.
var boundInflating = sync.OnceFunc(func() { sarama.MaxDecompressedBatchSize = clientInflates })

// consumerConfig starts a new group at the oldest record, reads committed records only, and leaves committing to the
// background commit of what was marked.
func consumerConfig(ctx context.Context, clientID string) *sarama.Config {
	c := kafka.ClientConfig(ctx, clientID)
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.Offsets.AutoCommit.Enable = true
	c.Consumer.Offsets.AutoCommit.Interval = 500 * time.Millisecond
	c.Consumer.Return.Errors = true
	c.Consumer.Fetch.Default, c.Consumer.Fetch.MaxBytes = partitionBytes, answerBytes
	c.ChannelBufferSize = readAhead
	// A partition with a full window is left out of the fetches until it has room: the client fetches for all partitions of
	// a broker at once, and would wait for it. The client looks twice before it leaves a partition out.
	c.Consumer.MaxProcessingTime = lastRoomWait / 2
	// How long a replica may be silent before Kafka takes it for dead. That of a dead one is not waited for: see TakeOver.
	c.Consumer.Group.Session.Timeout = 10 * time.Second
	// The answer to a heartbeat is how a member hears that it has to join again: the partitions of all members stand still
	// until the last one has.
	c.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	// A member that gives up while a broker starts again comes back as another one, and its group waits until the time of the
	// former one is over. So heartbeats go on for longer than a start takes, and the session with them.
	c.Metadata.Retry.Max = 60
	// A join is answered when all members have joined. It must be answered before the connection's patience ends, else the
	// client begins again as another member, and everybody waits for the one that it was.
	c.Consumer.Group.Rebalance.Timeout = 12 * time.Second
	// A join that meets another rebalance, or a coordinator that moves, is tried again soon, for as long as ever.
	c.Consumer.Group.Rebalance.Retry.Backoff = kafka.RetryPause
	c.Consumer.Group.Rebalance.Retry.Max = 40
	return c
}
