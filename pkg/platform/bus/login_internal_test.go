package bus

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/access"
)

func TestEveryClientIsToldHowToLogInAndToCompress(t *testing.T) {
	t.Parallel()
	for mechanism, set := range map[string]func(*access.Settings){
		access.Plain:       func(s *access.Settings) { s.Username, s.Password = "ada", "secret" },
		access.ScramSHA256: func(s *access.Settings) { s.Username, s.Password = "ada", "secret" },
		access.ScramSHA512: func(s *access.Settings) { s.Username, s.Password = "ada", "secret" },
		access.OAuthBearer: func(s *access.Settings) {
			s.TokenURL, s.ClientID, s.ClientSecret = "http://login/token", "ada", "secret"
		},
	} {
		cfg := Config{Brokers: []string{"kafka:1"}, Compression: "zstd", Access: access.Settings{Protocol: access.SASLSSL, Mechanism: mechanism, ServerName: "name"}}
		set(&cfg.Access)
		require.NoError(t, cfg.Validate())
		sc := producerConfig(t.Context(), "x")
		require.NoError(t, cfg.secure(sc))
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
		require.NoError(t, Config{Compression: name}.secure(sc))
		require.Equal(t, codec, sc.Producer.Compression)
		require.False(t, sc.Net.SASL.Enable)
		require.False(t, sc.Net.TLS.Enable)
	}
	require.ErrorContains(t, Config{Brokers: []string{"kafka:1"}, Compression: "brotli"}.Validate(),
		`KAFKA_COMPRESSION: "brotli" is none of none, gzip, snappy, lz4, zstd`)
}
