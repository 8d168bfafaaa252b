package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

// kafka is an environment with the tests' broker and topics of this test's own.
func kafkaOf(t *testing.T) (environ map[string]string) {
	t.Helper()
	return map[string]string{"KAFKA_BROKERS": strings.Join(testkit.Brokers(t), ","), "KAFKA_TOPIC_PREFIX": testkit.Prefix(t)}
}

func TestTopicsOfAnyNameCanBeCreated(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	name := environ["KAFKA_TOPIC_PREFIX"] + "web-events"
	got := pas(t, environ, "topics", "create", "web-events", "orders", "web-events", "--partitions", "web-events=2")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "created "+name+" with 2 partitions")
	require.Contains(t, got.stdout, "orders with 6 partitions")
	got = pas(t, environ, "topics", "create", "web-events", "--partitions", "1")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, "kept "+name+" exists already\n", got.stdout)
	require.NotContains(t, pas(t, environ, "topics", "list").stdout, "payments")
}

// What was made before, or by hand, may have other settings: it is kept as it is, and the command that changes it is said.
func TestTopicsWithOtherSettingsAreNamedWithTheCommandThatChangesThem(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	cfg := kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: environ["KAFKA_TOPIC_PREFIX"]}
	_, err := kafka.CreateTopics(t.Context(), cfg, []kafka.TopicSpec{{Name: "orders", Partitions: 6, ReplicationFactor: 1, MaxBytes: 1 << 20}})
	require.NoError(t, err)
	got := pas(t, environ, "topics", "create")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "max.message.bytes is 1048576 instead of 131072")
	require.Contains(t, got.stdout, "--alter --entity-type topics --entity-name "+cfg.TopicPrefix+"orders --add-config max.message.bytes=131072")
	require.Equal(t, 1, strings.Count(got.stdout, "--alter"), "what was made now has the settings:\n%s", got.stdout)

	topics, err := kafka.ListTopics(t.Context(), cfg)
	require.NoError(t, err)
	require.Len(t, topics, 4)
	for _, topic := range topics {
		want := "131072"
		if topic.Name == "orders" {
			want = "1048576"
		}
		require.Equal(t, want, topic.Configs["max.message.bytes"], "%s: nothing is changed silently", topic.Name)
		if topic.Name != "orders" {
			require.Equal(t, "604800000", topic.Configs["retention.ms"], topic.Name)
		}
	}
}

// Somebody's open transaction keeps records from every consumer: describe says where, and says nothing once it has ended.
func TestRecordsBehindAnOpenTransactionAreDescribed(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	require.Equal(t, cli.ExitOK, pas(t, environ, "topics", "create").code)
	name := environ["KAFKA_TOPIC_PREFIX"] + "orders"
	stranger, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(t)...), kgo.TransactionalID(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer stranger.Close()
	require.NoError(t, stranger.BeginTransaction())
	require.NoError(t, stranger.ProduceSync(t.Context(), &kgo.Record{Topic: name, Partition: 2, Value: []byte("{}")}).FirstErr())

	got := pas(t, environ, "topics", "describe")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "orders/2: 1 records wait for a transaction that another producer has not ended. If this stays, ")
	require.Contains(t, pas(t, environ, "topics", "describe", "orders", "--json").stdout, `"held_back"`)
	require.NotContains(t, pas(t, environ, "topics", "describe", "payments").stdout, "wait for")

	require.NoError(t, stranger.EndTransaction(t.Context(), kgo.TryAbort))
	require.NotContains(t, pas(t, environ, "topics", "describe").stdout, "wait for")
}
