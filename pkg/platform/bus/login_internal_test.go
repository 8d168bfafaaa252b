package bus

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/kafka"
)

func TestEveryClientIsToldHowToLogInAndToCompress(t *testing.T) {
	t.Parallel()
	for mechanism, set := range map[string]func(*kafka.Access){
		kafka.Plain:       func(s *kafka.Access) { s.Username, s.Password = "ada", "secret" },
		kafka.ScramSHA256: func(s *kafka.Access) { s.Username, s.Password = "ada", "secret" },
		kafka.ScramSHA512: func(s *kafka.Access) { s.Username, s.Password = "ada", "secret" },
		kafka.OAuthBearer: func(s *kafka.Access) {
			s.TokenURL, s.ClientID, s.ClientSecret = "http://login/token", "ada", "secret"
		},
	} {
		cfg := kafka.Config{Brokers: []string{"kafka:1"}, Compression: "zstd", Access: kafka.Access{Protocol: kafka.SASLSSL, Mechanism: mechanism, ServerName: "name"}}
		set(&cfg.Access)
		require.NoError(t, cfg.Validate())
		sc := producerConfig(t.Context(), "x")
		require.NoError(t, cfg.Secure(sc))
		require.NoError(t, sc.Validate())
		require.True(t, sc.Net.SASL.Enable)
		require.Equal(t, sarama.SASLMechanism(mechanism), sc.Net.SASL.Mechanism)
		require.True(t, sc.Net.TLS.Enable)
		require.Equal(t, "name", sc.Net.TLS.Config.ServerName)
		require.Equal(t, sarama.CompressionZSTD, sc.Producer.Compression)
	}
	for name, codec := range map[string]sarama.CompressionCodec{"": sarama.CompressionNone, "none": sarama.CompressionNone,
		"gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4} {
		sc := producerConfig(t.Context(), "x")
		require.NoError(t, kafka.Config{Compression: name}.Secure(sc))
		require.Equal(t, codec, sc.Producer.Compression)
		require.False(t, sc.Net.SASL.Enable)
		require.False(t, sc.Net.TLS.Enable)
	}
	require.ErrorContains(t, kafka.Config{Brokers: []string{"kafka:1"}, Compression: "brotli"}.Validate(),
		`KAFKA_COMPRESSION: "brotli" is not one of none, gzip, snappy, lz4, zstd`)
}
