package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
)

// remade deletes a topic of one partition and makes it anew.
func remade(t *testing.T, environ map[string]string, name string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(environ["KAFKA_BROKERS"], ",")...))
	require.NoError(t, err)
	defer client.Close()
	answers, err := kadm.NewClient(client).DeleteTopics(t.Context(), environ["KAFKA_TOPIC_PREFIX"]+name)
	require.NoError(t, err)
	require.NoError(t, answers.Error())
	testkit.Eventually(t, func() error { // Kafka deletes a moment after it said so
		if got := pas(t, environ, "topics", "create", "--partitions", "1", name); !strings.Contains(got.stdout, "created") {
			return errors.New(got.stdout + got.stderr)
		}
		return nil
	})
}

// TestWindowsDoesNotGoOnInAnotherTopicOfTheSameName: the stored offsets would leave out its first records.
func TestWindowsDoesNotGoOnInAnotherTopicOfTheSameName(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	environ["DATABASE_URL"] = testkit.Database(t, migrations.Up).AdminURL
	topic(t, environ, "wst")
	write(t, environ, "wst", `{"n":1}`, `{"n":2}`)
	count := []string{"windows", "wst", "--store", "--job", "rj", "--from-beginning", "--no-follow"}
	require.Contains(t, pas(t, environ, count...).stderr, "Read 2: 2 counted")
	write(t, environ, "wst", `{"n":3}`)
	require.Contains(t, pas(t, environ, count...).stderr, "Read 1: 1 counted", "the same topic goes on")

	remade(t, environ, "wst")
	write(t, environ, "wst", `{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`, `{"n":5}`)
	got := pas(t, environ, count...)
	require.Equal(t, cli.ExitFailure, got.code, got.stderr)
	require.Equal(t, "the topic wst was deleted and created again since it was read; what is stored was counted in the old topic: begin again with another --job", got.oneLine(t))
	count[4] = "another"
	require.Contains(t, pas(t, environ, count...).stderr, "Read 5: 5 counted")
}

func TestTailAndWindowsSayThatTheirTopicIsGone(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"tail", "windows"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			environ := kafkaOf(t)
			topic(t, environ, "orders")
			running := follow(t, environ, command, "orders")
			require.Contains(t, running.note(t), "Ctrl-C ends.")
			remade(t, environ, "orders")
			go func() { _, _ = io.Copy(io.Discard, running.stdout) }()
			require.Contains(t, running.note(t), "the topic orders was deleted (and perhaps created again); if it is there again, start this command again")
			require.Equal(t, cli.ExitFailure, <-running.ended)
		})
	}
}

// TestTailAndWindowsSayWhatIsBehindAnOpenTransaction: "Read 0" alone would be taken for an empty topic.
func TestTailAndWindowsSayWhatIsBehindAnOpenTransaction(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	topic(t, environ, "hold")
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(environ["KAFKA_BROKERS"], ",")...), kgo.TransactionalID(environ["KAFKA_TOPIC_PREFIX"]+"t"))
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.BeginTransaction())
	require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: environ["KAFKA_TOPIC_PREFIX"] + "hold"}).FirstErr())
	defer func() { _ = client.EndTransaction(context.WithoutCancel(t.Context()), kgo.TryAbort) }()
	write(t, environ, "hold", `{"n":1}`, `{"n":2}`)
	for _, command := range []string{"tail", "windows"} {
		got := pas(t, environ, command, "hold", "--from-beginning", "--no-follow")
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
		require.Contains(t, got.stderr, "Read 0: ")
		require.Contains(t, got.stderr, "\nhold/0: 3 records wait for a transaction that another producer has not ended.\n")
	}
}

// TestTailAndWindowsPassOverWhatInflatesTooFar: they say where it is, count it and read what stands behind it.
func TestTailAndWindowsPassOverWhatInflatesTooFar(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	environ["DATABASE_URL"] = testkit.Database(t, migrations.Up).AdminURL
	topic(t, environ, "large")
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(environ["KAFKA_BROKERS"], ",")...), kgo.ProducerBatchMaxBytes(8<<20),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	require.NoError(t, err)
	defer client.Close()
	write(t, environ, "large", `{"n":1}`)
	require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: environ["KAFKA_TOPIC_PREFIX"] + "large", Value: make([]byte, 6<<20)}).FirstErr())
	write(t, environ, "large", `{"n":2}`)
	for command, summary := range map[string]string{
		"tail large":                     "Read 2: 2 shown, 0 skipped; 0 unreadable. 1 batch was skipped.\n",
		"windows large --store --job j1": "still open. 1 batch was skipped.\n",
	} {
		got := pas(t, environ, append(strings.Fields(command), "--from-beginning", "--no-follow")...)
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
		require.Contains(t, got.stderr, "large/0@1 is skipped: it inflates to more than 2 MiB.\n")
		require.Contains(t, got.stderr, "Read 2: ")
		require.Contains(t, got.stderr, summary)
	}
	require.NotContains(t, pas(t, environ, "windows", "large", "--store", "--job", "j1", "--no-follow").stderr, "is skipped", "it is behind that")
}

// ruleOf is round robin under another name.
type ruleOf struct {
	kgo.GroupBalancer
	name string
}

func (r ruleOf) ProtocolName() string { return r.name }

// TestTailJoinsAGroupOfAnotherClient: of one that speaks what librdkafka, sarama, the Java client or KafkaJS speak; for
// another one, such as Kafka Streams, it says why not.
func TestTailJoinsAGroupOfAnotherClient(t *testing.T) {
	t.Parallel()
	environ := kafkaOf(t)
	environ["KAFKA_GROUP_PREFIX"] = environ["KAFKA_TOPIC_PREFIX"]
	topic(t, environ, "shared")
	// has waits until the group is stable with so many members.
	has := func(client *kgo.Client, group string, members int) {
		testkit.Eventually(t, func() error {
			described, err := kadm.NewClient(client).DescribeGroups(t.Context(), environ["KAFKA_GROUP_PREFIX"]+group)
			if found := described[environ["KAFKA_GROUP_PREFIX"]+group]; err == nil && (found.State != "Stable" || len(found.Members) != members) {
				err = fmt.Errorf("the group %s is %s with %d members", group, found.State, len(found.Members))
			}
			return err
		})
	}
	join := func(group string, rule kgo.GroupBalancer) *kgo.Client {
		client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(environ["KAFKA_BROKERS"], ",")...), kgo.Balancers(rule),
			kgo.ConsumerGroup(environ["KAFKA_GROUP_PREFIX"]+group), kgo.ConsumeTopics(environ["KAFKA_TOPIC_PREFIX"]+"shared"))
		require.NoError(t, err)
		t.Cleanup(client.CloseAllowingRebalance)
		has(client, group, 1)
		return client
	}
	write(t, environ, "shared", `{"n":1}`)
	join("streams", ruleOf{kgo.RoundRobinBalancer(), "stream"})
	got := pas(t, environ, "tail", "shared", "--group", "streams", "--from-beginning", "--max", "1")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.stderr, "pas: the members of the group streams share its partitions by a rule that is not known here; choose another --group, or leave it out\n")
	for group, rule := range map[string]kgo.GroupBalancer{"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
		"sticky": kgo.StickyBalancer(), "cooperative": kgo.CooperativeStickyBalancer(), "kafkajs": ruleOf{kgo.RoundRobinBalancer(), "RoundRobinAssigner"}} {
		other := join(group, rule)
		running := follow(t, environ, "tail", "shared", "--group", group, "--from-beginning")
		require.Contains(t, running.note(t), "Ctrl-C ends.")
		has(other, group, 2)
		running.interrupt()
		go func() { _, _ = io.Copy(io.Discard, running.stdout) }()
		require.Contains(t, running.note(t), "Read ")
		require.Equal(t, cli.ExitOK, <-running.ended)
	}
}
