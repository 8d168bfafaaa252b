package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/messages"
)

// Config is the address of Kafka, and the names of an installation there. Services embed it in their own Config.
//
// The prefixes separate installations that share a cluster. They apply at the edge of this module: code, metrics and log lines
// have the contract's names, and only requests to brokers have the prefixed ones.
type Config struct {
	Brokers     []string `env:"KAFKA_BROKERS" envDefault:"localhost:9092" desc:"Kafka bootstrap addresses, host:port, comma separated"`
	TopicPrefix string   `env:"KAFKA_TOPIC_PREFIX" desc:"put before every topic's name"`
	GroupPrefix string   `env:"KAFKA_GROUP_PREFIX" desc:"put before every consumer group's name"`
	Compression string   `env:"KAFKA_COMPRESSION" envDefault:"none" desc:"of records that are written: none, gzip, snappy, lz4 or zstd"`

	Access Access
}

// validPrefix has the characters that Kafka allows in a topic's name. Kafka allows 249 of them; 100 leave room for the name.
var validPrefix = regexp.MustCompile(`^[A-Za-z0-9._-]{0,100}$`)

// Validate returns all problems joined, those of Access among them. It sends no request.
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
		errs = append(errs, fmt.Errorf("KAFKA_COMPRESSION: %q is not one of %s", c.Compression, strings.Join(compressions(), ", ")))
	}
	return errors.Join(append(errs, c.Access.Validate())...)
}

// protocolVersion is old enough for every broker that is still maintained, and new enough for idempotent producers, headers and
// incremental fetches. Sarama's default changes with its upgrades.
var protocolVersion = sarama.V2_8_0_0

// RetryPause is the pause before sarama retries a request. It is constant, so the number of retries bounds the whole time.
const RetryPause = 250 * time.Millisecond

// ClientConfig returns the settings that all of sarama's connections share. They are closed when ctx ends, and calls that
// wait for an answer then fail. Access and compression are not in it: Secure adds them. The caller may change the result.
func ClientConfig(ctx context.Context, clientID string) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = clientID
	c.Version = protocolVersion
	// The proxy setting is sarama's only hook for a dialer of our own. No proxy is involved.
	c.Net.Proxy.Enable = true
	c.Net.Proxy.Dialer = lines{ctx}
	c.Metadata.Retry.BackoffFunc = UntilCut(ctx, RetryPause)
	c.Net.ReadTimeout = 15 * time.Second
	c.Net.WriteTimeout = 15 * time.Second
	// A person decides on a topic's partitions; a mistyped name must not create a topic.
	c.Metadata.AllowAutoTopicCreation = false
	c.Metadata.RefreshFrequency = time.Minute
	return c
}

// Group returns the consumer group of a service for a topic. Each topic has its own group, so a rebalance of one never pauses
// another.
func (c Config) Group(service, topic string) string {
	return c.GroupPrefix + messages.Group{Service: service, Topic: topic}.String()
}
