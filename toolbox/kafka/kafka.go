// Package kafka connects the tool's Kafka client, franz-go, as the services connect: the same settings have the same
// meaning.
package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/toolbox/hint"
)

// Options are the options that every client needs to reach the Kafka of cfg, and to write to it as cfg says.
func Options(cfg kafka.Config) ([]kgo.Opt, error) {
	options, err := kafka.Options(cfg.Brokers, cfg.Access)
	return append(options, kgo.ClientID("pas"), kgo.ProducerBatchCompression(compression(cfg.Compression)),
		kgo.ProducerBatchMaxBytesFn(batchBytes(cfg.TopicPrefix))), err
}

// otherBatches is the client's own bound, which suits a topic with Kafka's default settings.
const otherBatches = 1_000_012

// batchBytes bounds the batches of each topic. The contract's topics accept smaller batches than others, and a batch
// that is too large fails every record in it.
func batchBytes(prefix string) func(topic string) int32 {
	bounds := map[string]int32{}
	for _, t := range messages.Topics() {
		bounds[prefix+t.Name] = kafka.MaxBatchBytes - 1<<10
	}
	return func(topic string) int32 { return cmp.Or(bounds[topic], otherBatches) }
}

func compression(name string) kgo.CompressionCodec {
	switch name {
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	default:
		return kgo.NoCompression()
	}
}

// Explain adds a hint to an error of the connection to Kafka. Other errors, and those with a hint, stay as they are.
func Explain(cfg kafka.Config, err error) error {
	if err == nil || hint.Of(err) != "" {
		return err
	}
	var problem *kafka.Problem
	var network net.Error
	if err = cfg.Explain(err); errors.As(err, &problem) {
		if problem.Unreachable == "" {
			return problem // its text has the remedy
		}
		err = fmt.Errorf("connect to Kafka at %s: %s", strings.Join(cfg.Brokers, ","), problem.Unreachable)
	} else if !errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return running(cfg, err)
}

// running adds the hint that Kafka may run elsewhere.
func running(cfg kafka.Config, err error) error {
	return hint.Add(err, "check that Kafka runs at %s, or say where it is with --brokers or KAFKA_BROKERS", strings.Join(cfg.Brokers, ","))
}

// Unanswered is the error of a broker that took connections and said nothing until the context ended.
func Unanswered(cfg kafka.Config, err error) error {
	return running(cfg, fmt.Errorf("kafka at %s does not answer: %w", strings.Join(cfg.Brokers, ","), err))
}

// Unseen returns a sentence for errors about a missing topic: an ACL may hide it. It is "" for a client without a
// login.
func Unseen(cfg kafka.Config) string {
	if !cfg.Access.SASL() && cfg.Access.Cert == "" {
		return ""
	}
	return fmt.Sprintf("; if it exists, %s may not see it: give it the ACLs Describe and Read", cfg.Access.Who())
}
