package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/access"
)

// Config says where Kafka is. Services embed it in their own Config.
type Config struct {
	Brokers     []string `env:"KAFKA_BROKERS" envDefault:"localhost:9092" desc:"Kafka bootstrap addresses, host:port, comma separated"`
	TopicPrefix string   `env:"KAFKA_TOPIC_PREFIX" desc:"put before every topic's name"`
	GroupPrefix string   `env:"KAFKA_GROUP_PREFIX" desc:"put before every consumer group's name"`
	Compression string   `env:"KAFKA_COMPRESSION" envDefault:"none" desc:"of what is written: none, gzip, snappy, lz4 or zstd"`

	Access access.Settings
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9._-]{0,100}$`)

// Validate returns all problems joined.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("KAFKA_BROKERS is empty: give at least one host:port"))
	}
	for _, b := range c.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("KAFKA_BROKERS: %q is not host:port", b))
		}
	}
	if !validPrefix.MatchString(c.TopicPrefix) {
		errs = append(errs, fmt.Errorf("KAFKA_TOPIC_PREFIX %q: use letters, digits, '.', '_' and '-'", c.TopicPrefix))
	}
	if !validPrefix.MatchString(c.GroupPrefix) {
		errs = append(errs, fmt.Errorf("KAFKA_GROUP_PREFIX %q: use letters, digits, '.', '_' and '-'", c.GroupPrefix))
	}
	if c.Compression != "" && !slices.Contains(compressions(), c.Compression) {
		errs = append(errs, fmt.Errorf("KAFKA_COMPRESSION: %q is none of %s", c.Compression, strings.Join(compressions(), ", ")))
	}
	return errors.Join(append(errs, c.Access.Validate())...)
}

// protocolVersion is what we speak: old enough for every broker still maintained, new enough for idempotent producers,
// headers and incremental fetches. Left to itself the client would pick another one with each upgrade.
var protocolVersion = sarama.V2_8_0_0

// retryBackoff is the pause before the client asks or publishes again.
const retryBackoff = 250 * time.Millisecond

// baseConfig is what all connections have in common. They are cut when ctx ends.
func baseConfig(ctx context.Context, clientID string) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = clientID
	c.Version = protocolVersion
	c.Net.Proxy.Enable = true
	c.Net.Proxy.Dialer = lines{ctx}
	c.Metadata.Retry.BackoffFunc = lines{ctx}.again(retryBackoff)
	c.Net.ReadTimeout = 15 * time.Second
	c.Net.WriteTimeout = 15 * time.Second
	// A topic exists because somebody decided on its partitions, never because somebody mistyped its name.
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.RefreshFrequency = time.Minute
	return c
}

// batchOverhead is what a batch may have beside the records that the client counts.
const batchOverhead = 1 << 10

// producerConfig makes an acknowledged message durable and written once: all in-sync replicas, idempotent, one request
// in flight so that a retry cannot reorder, and enough retries to sit out the restart of a broker.
func producerConfig(ctx context.Context, clientID string) *sarama.Config {
	c := baseConfig(ctx, clientID)
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	c.Producer.Retry.Max = 120
	c.Producer.Retry.BackoffFunc = lines{ctx}.again(retryBackoff)
	c.Producer.Transaction.Retry.BackoffFunc = lines{ctx}.again(retryBackoff) // also paces the opening of any producer
	c.Metadata.Retry.Max = 30
	// A batch that the topic does not take would fail every message in it.
	c.Producer.MaxMessageBytes = MaxBatchBytes - batchOverhead
	c.Producer.Return.Successes = true
	c.Producer.Return.Errors = true
	// The Java and Python clients' hash: an order's messages share a partition whoever wrote them.
	c.Producer.Partitioner = sarama.NewMurmur2Partitioner
	return c
}

const (
	// answerBytes bounds one answer to a fetch, of all partitions of a topic together. A batch that is larger comes alone.
	answerBytes = MaxBatchBytes
	// partitionBytes is one partition's share of an answer: a full one must not keep the others out.
	partitionBytes = answerBytes / 4
	// clientInflates is how much the client may inflate one batch to. It inflates a whole answer at once, and an answer has
	// room for hundreds of batches that are nothing but padding, so the bound is small. A batch that is larger is read by
	// a passage, up to maxInflated.
	clientInflates = MaxBatchBytes
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
	c := baseConfig(ctx, clientID)
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
	c.Consumer.Group.Rebalance.Retry.Backoff = retryBackoff
	c.Consumer.Group.Rebalance.Retry.Max = 40
	return c
}
