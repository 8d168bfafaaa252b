package feed

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// setup makes a topic of two partitions.
func setup(t *testing.T) Config {
	t.Helper()
	cfg := Config{Kafka: kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: testkit.Prefix(t)}, Topics: []string{"events"},
		OpenTime: 30 * time.Second}
	_, err := kafka.CreateTopics(t.Context(), cfg.Kafka, []kafka.TopicSpec{{Name: "events", Partitions: 2, ReplicationFactor: 1}})
	require.NoError(t, err)
	return cfg
}

func client(t *testing.T, cfg Config, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(cfg.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func write(t *testing.T, c *kgo.Client, cfg Config, partition int32, values ...string) {
	t.Helper()
	for _, value := range values {
		r := &kgo.Record{Topic: cfg.Kafka.TopicPrefix + "events", Partition: partition, Value: []byte(value)}
		require.NoError(t, c.ProduceSync(t.Context(), r).FirstErr())
	}
}

func open(t *testing.T, cfg Config) *Feed {
	t.Helper()
	f, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(f.Close)
	return f
}

// all reads until the end, or until there are most records.
func all(t *testing.T, f *Feed, most int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var values []string
	for len(values) < most {
		records, err := f.Poll(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NoError(t, ctx.Err(), values)
		for _, r := range records {
			require.Equal(t, "events", r.Topic)
			values = append(values, string(r.Value))
		}
	}
	return values
}

// TestOnlyCommittedRecordsAreRead: what a transaction that was aborted wrote never happened. The topic ends with a marker
// that is no record, and reading to the end ends all the same.
func TestOnlyCommittedRecordsAreRead(t *testing.T) {
	t.Parallel()
	cfg := setup(t)
	writer := client(t, cfg, kgo.TransactionalID(cfg.Kafka.TopicPrefix+"writer"))
	for value, end := range map[string]kgo.TransactionEndTry{"kept": kgo.TryCommit, "aborted": kgo.TryAbort} {
		require.NoError(t, writer.BeginTransaction())
		write(t, writer, cfg, 0, value)
		require.NoError(t, writer.EndTransaction(t.Context(), end))
	}
	cfg.Start.Beginning = true
	require.Equal(t, []string{"kept"}, all(t, open(t, cfg), 10))
}

func TestPartitionsThatAreAddedAreReadFromTheirBeginning(t *testing.T) {
	t.Parallel()
	cfg := setup(t)
	cfg.Follow, cfg.WidenEvery = true, 100*time.Millisecond
	f := open(t, cfg)
	writer := client(t, cfg, kgo.MetadataMinAge(10*time.Millisecond), kgo.MetadataMaxAge(100*time.Millisecond))
	write(t, writer, cfg, 1, "before")
	require.Equal(t, []string{"before"}, all(t, f, 1))
	answer, err := kadm.NewClient(writer).UpdatePartitions(t.Context(), 3, cfg.Kafka.TopicPrefix+"events")
	require.NoError(t, err)
	require.NoError(t, answer.Error())
	require.Eventually(t, func() bool {
		r := &kgo.Record{Topic: cfg.Kafka.TopicPrefix + "events", Partition: 2, Value: []byte("added")}
		return writer.ProduceSync(t.Context(), r).FirstErr() == nil
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, []string{"added"}, all(t, f, 1))
}

func TestKnownOffsetsWinAndOthersBeginAtTheBeginning(t *testing.T) {
	t.Parallel()
	cfg := setup(t)
	writer := client(t, cfg)
	write(t, writer, cfg, 0, "a0", "a1", "a2")
	write(t, writer, cfg, 1, "b0")
	cfg.Start = Start{Beginning: true, At: map[string]map[int32]int64{"events": {0: 2}}}
	f := open(t, cfg)
	require.Equal(t, map[string]map[int32]int64{"events": {0: 2, 1: 0}}, f.Positions())
	require.ElementsMatch(t, []string{"a2", "b0"}, all(t, f, 10))

	for _, next := range []int64{4, -1} {
		cfg.Start.At["events"][0] = next
		_, err := Open(t.Context(), cfg)
		var gone *GoneError
		require.ErrorAs(t, err, &gone)
		require.Equal(t, GoneError{Topic: "events", Partition: 0, Next: next, First: 0, End: 3}, *gone)
	}
}

func TestABrokerThatTakesConnectionsAndSaysNothingIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	var took time.Duration
	for range 3 { // on a busy machine one may take long for another reason
		began := time.Now()
		_, err := Open(t.Context(), Config{Kafka: kafka.Config{Brokers: []string{l.Addr().String()}}, Topics: []string{"orders"}, OpenTime: 100 * time.Millisecond})
		require.ErrorContains(t, err, "kafka at "+l.Addr().String()+" does not answer")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		if took = time.Since(began); took < 9*time.Second { // the client itself would take ten
			return
		}
	}
	require.Fail(t, "it goes on waiting", "for %s", took)
}
