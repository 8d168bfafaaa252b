package bus

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pasdetrois/pkg/messages"
)

// Config says where Kafka is. Parsed from the environment by each service (embed it in the service's Config).
type Config struct {
	Brokers     []string `env:"KAFKA_BROKERS" envDefault:"localhost:9092"`
	TopicPrefix string   `env:"KAFKA_TOPIC_PREFIX"`
	GroupPrefix string   `env:"KAFKA_GROUP_PREFIX"`
}

// Parker keeps messages that can never succeed. deadletter.Store is one.
type Parker interface {
	Park(ctx context.Context, r messages.Record, reason, detail, stack string) error
}

// ConsumerConfig configures a Consumer.
type ConsumerConfig struct {
	Config
	Service       string // consumer groups are <prefix><service>.<topic>
	Table         Table
	Publisher     Publisher
	Parker        Parker
	Log           *slog.Logger
	Metrics       prometheus.Registerer
	HandleTimeout time.Duration // one attempt; 0 = 30 s
	DrainTimeout  time.Duration // 0 = 10 s
}

// Consumer runs one watermill router over the service's topics.
type Consumer struct{}

// NewConsumer makes a consumer; Run connects it.
func NewConsumer(cfg ConsumerConfig) (*Consumer, error) { panic("skeleton") }

// Run waits for Kafka and the topics, then consumes until ctx ends; then it stops admitting, waits for what is in
// flight, lets the acknowledgements be marked, and closes. It returns an error when the router stops by itself.
func (c *Consumer) Run(ctx context.Context) error { panic("skeleton") }

// Check is the readiness check: nil while the consumer is connected and handlers are not failing for a transient cause.
func (c *Consumer) Check(ctx context.Context) error { panic("skeleton") }

// Handle puts one record through its use case outside the stream, publishes the results and returns the error: that is
// how a parked message is replayed.
func (c *Consumer) Handle(ctx context.Context, r messages.Record) error { panic("skeleton") }

// Producer is the Publisher over Kafka. It connects in the background and keeps trying.
type Producer struct{}

// NewProducer makes a producer named after service.
func NewProducer(cfg Config, service string, log *slog.Logger) (*Producer, error) { panic("skeleton") }

// Publish implements Publisher.
func (p *Producer) Publish(ctx context.Context, msgs ...messages.Message) error { panic("skeleton") }

// PublishRecords implements Publisher.
func (p *Producer) PublishRecords(ctx context.Context, records ...messages.Record) error {
	panic("skeleton")
}

// Check is the readiness check of the producing side.
func (p *Producer) Check(ctx context.Context) error { panic("skeleton") }

// Close flushes and disconnects.
func (p *Producer) Close() error { panic("skeleton") }

// TopicSpec is one topic to create.
type TopicSpec struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
}

// TopicInfo describes an existing topic.
type TopicInfo struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	Configs           map[string]string
}

// CreateTopics creates what is missing (prefix added) and reports which it created. An existing topic with fewer
// partitions than asked is an error that says so.
func CreateTopics(ctx context.Context, cfg Config, specs []TopicSpec) (created []string, err error) {
	panic("skeleton")
}

// ListTopics describes every topic that exists, by name.
func ListTopics(ctx context.Context, cfg Config) ([]TopicInfo, error) { panic("skeleton") }
