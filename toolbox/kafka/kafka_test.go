package kafka_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	toolkafka "pasdetrois/toolbox/kafka"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestBothClientsLogInAlike: the services' client makes the topics, the tool's own finds them.
func TestBothClientsLogInAlike(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{kafka.Plain, kafka.ScramSHA256, kafka.ScramSHA512} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(mechanism, "ada", "s3cret"))
			require.NoError(t, err)
			t.Cleanup(broker.Close)
			cfg := kafka.Config{Brokers: broker.ListenAddrs(), Compression: "lz4", Access: kafka.Access{Protocol: kafka.SASLPlaintext,
				Mechanism: mechanism, Username: "ada", Password: "s3cret"}}
			_, err = kafka.CreateTopics(t.Context(), cfg, []kafka.TopicSpec{{Name: "t", Partitions: 1, ReplicationFactor: 1}})
			require.NoError(t, err)
			options, err := toolkafka.Options(cfg)
			require.NoError(t, err)
			client, err := kgo.NewClient(append(options, kgo.ConsumeTopics("t"), kgo.RetryTimeout(30*time.Second))...)
			require.NoError(t, err)
			t.Cleanup(client.Close)
			require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr())
			require.Equal(t, 1, client.PollRecords(t.Context(), 1).NumRecords())

			cfg.Access.Password = "wrong"
			options, err = toolkafka.Options(cfg)
			require.NoError(t, err)
			client, err = kgo.NewClient(options...)
			require.NoError(t, err)
			t.Cleanup(client.Close)
			require.Error(t, client.Ping(t.Context()))
		})
	}
}

// Records for one partition that are written together share a batch. One that the topic does not take fails all of them.
func TestRecordsThatAreWrittenTogetherFitIntoTheContractsTopics(t *testing.T) {
	t.Parallel()
	cfg := kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: testkit.Prefix(t)}
	_, err := kafka.CreateTopics(t.Context(), cfg, stack.Topics(1))
	require.NoError(t, err)
	options, err := toolkafka.Options(cfg)
	require.NoError(t, err)
	client, err := kgo.NewClient(append(options, kgo.ProducerLinger(50*time.Millisecond))...)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	var records []*kgo.Record
	for range 100 {
		records = append(records, &kgo.Record{Topic: cfg.TopicPrefix + messages.TopicOrders, Key: []byte("k"), Value: make([]byte, 5000)})
	}
	require.NoError(t, client.ProduceSync(t.Context(), records...).FirstErr())
	bound := client.OptValue(kgo.ProducerBatchMaxBytesFn).(func(string) int32)
	require.Less(t, bound(cfg.TopicPrefix+messages.TopicOrders), int32(kafka.MaxBatchBytes))
	require.Greater(t, bound("orders-of-somebody"), int32(900_000), "other topics take more")
}

func TestOptionsFollowTheSettings(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string]kgo.CompressionCodec{"": kgo.NoCompression(), "none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		cfg := kafka.Config{Brokers: []string{"kafka:1"}, Compression: name, Access: kafka.Access{Protocol: kafka.SSL, ServerName: "name"}}
		options, err := toolkafka.Options(cfg)
		require.NoError(t, err)
		client, err := kgo.NewClient(options...)
		require.NoError(t, err)
		require.Equal(t, []kgo.CompressionCodec{codec}, client.OptValue(kgo.ProducerBatchCompression))
		require.Equal(t, "name", client.OptValue(kgo.DialTLSConfig).(*tls.Config).ServerName)
		client.Close()
	}
	_, err := toolkafka.Options(kafka.Config{Access: kafka.Access{Protocol: kafka.SSL, CA: "nothing"}})
	require.ErrorContains(t, err, "KAFKA_TLS_CA")
	_, err = toolkafka.Options(kafka.Config{Access: kafka.Access{Protocol: kafka.SASLSSL}})
	require.ErrorContains(t, err, "KAFKA_SASL_MECHANISM")
}
