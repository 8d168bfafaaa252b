// Package kafka makes the tool's own Kafka client, franz-go, connect as the services do: same settings, same meaning.
package kafka

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/access"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/franz"
)

// Options are what every client needs to reach the Kafka of cfg and to write to it as cfg says.
func Options(cfg bus.Config) ([]kgo.Opt, error) {
	options, err := franz.Options(cfg.Brokers, cfg.Access)
	return append(options, kgo.ClientID("pas"), kgo.ProducerBatchCompression(compression(cfg.Compression))), err
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
func Explain(cfg bus.Config, err error) error {
	var code *kerr.Error
	if errors.As(err, &code) {
		return access.Explain(cfg.Brokers, cfg.Access, err, code.Code)
	}
	return access.Explain(cfg.Brokers, cfg.Access, err, access.CodeNone)
}
