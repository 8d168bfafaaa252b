// Package kafka makes the tool's own Kafka client, franz-go, connect as the services do: same settings, same meaning.
package kafka

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
)

// Options are what every client needs to reach the Kafka of cfg and to write to it as cfg says.
func Options(cfg kafka.Config) ([]kgo.Opt, error) {
	options, err := kafka.Options(cfg.Brokers, cfg.Access)
	return append(options, kgo.ClientID("pas"), kgo.ProducerBatchCompression(compression(cfg.Compression)),
		kgo.ProducerBatchMaxBytesFn(batchBytes(cfg.TopicPrefix))), err
}

// otherBatches is the client's own bound, which suits a topic with Kafka's default settings.
const otherBatches = 1_000_012

// batchBytes bounds the batches of each topic: those of the contract take less than others, and a batch that is too large
// fails every record in it.
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

// Explain says in one line what to do about an error of the client, where that is known.
func Explain(cfg kafka.Config, err error) error { return cfg.Explain(err) }
