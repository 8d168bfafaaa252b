// Package kafka makes the tool's own Kafka client, franz-go, connect as the services do: same settings, same meaning.
package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"pasdetrois/pkg/platform/access"
	"pasdetrois/pkg/platform/bus"
)

// Options are what every client needs to reach the Kafka of cfg and to write to it as cfg says.
func Options(cfg bus.Config) ([]kgo.Opt, error) {
	options := []kgo.Opt{kgo.SeedBrokers(cfg.Brokers...), kgo.ClientID("pas"), kgo.ProducerBatchCompression(compression(cfg.Compression))}
	if cfg.Access.TLS() {
		tls, err := cfg.Access.TLSConfig()
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.DialTLSConfig(tls))
	}
	if cfg.Access.SASL() {
		mechanism, err := login(cfg.Access)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
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

func login(s access.Settings) (sasl.Mechanism, error) {
	switch s.Mechanism {
	case access.Plain:
		return plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism(), nil
	case access.ScramSHA256:
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha256Mechanism(), nil
	case access.ScramSHA512:
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha512Mechanism(), nil
	case access.OAuthBearer:
		tokens, err := access.NewTokens(s)
		if err != nil {
			return nil, err
		}
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			token, extensions, err := tokens.Token()
			return oauth.Auth{Token: token, Extensions: extensions}, err
		}), nil
	default:
		return nil, fmt.Errorf("KAFKA_SASL_MECHANISM: %q is unknown", s.Mechanism)
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
