package feed

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

// remake deletes the topic and makes it anew.
func remake(t *testing.T, cfg Config) {
	t.Helper()
	answers, err := kadm.NewClient(client(t, cfg)).DeleteTopics(t.Context(), cfg.Kafka.TopicPrefix+"events")
	require.NoError(t, err)
	require.NoError(t, answers.Error())
	testkit.Eventually(t, func() error {
		_, err := kafka.CreateTopics(t.Context(), cfg.Kafka, []kafka.TopicSpec{{Name: "events", Partitions: 2, ReplicationFactor: 1}})
		return err
	})
}

func TestATopicThatWasMadeAnewIsAnotherOne(t *testing.T) {
	t.Parallel()
	cfg := setup(t)
	write(t, client(t, cfg), cfg, 0, "a", "b")
	cfg.Start = Start{Beginning: true}
	f := open(t, cfg)
	require.Len(t, f.IDs(), 1)
	require.Len(t, f.IDs()["events"], 22, "as kafka-topics shows it")
	cfg.Start.IDs, cfg.Start.At = f.IDs(), map[string]map[int32]int64{"events": {0: 2}}
	open(t, cfg)

	remake(t, cfg)
	write(t, client(t, cfg), cfg, 0, "A", "B", "C", "D") // long enough for the old offset
	_, err := Open(t.Context(), cfg)
	var remade *RemadeError
	require.ErrorAs(t, err, &remade)
	require.EqualError(t, err, "the topic events was deleted and created again since it was read")
}

// TestATopicThatIsMadeAnewWhileItIsReadEndsTheReading: Kafka's answer to the next question may come first, or the next look
// for new partitions.
func TestATopicThatIsMadeAnewWhileItIsReadEndsTheReading(t *testing.T) {
	t.Parallel()
	for name, every := range map[string]time.Duration{"answer": time.Hour, "look": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := setup(t)
			cfg.Follow, cfg.WidenEvery, cfg.Start.Beginning = true, every, true
			write(t, client(t, cfg), cfg, 0, "a")
			f := open(t, cfg)
			require.Equal(t, []string{"a"}, all(t, f, 1))
			remake(t, cfg)
			_, err := f.Poll(t.Context())
			var remade *RemadeError
			require.ErrorAs(t, err, &remade)
			require.Contains(t, err.Error(), "the topic events was ")
		})
	}
}

// TestRecordsBehindAnOpenTransactionAreNamed: at Open for a reader that ends, and while it follows.
func TestRecordsBehindAnOpenTransactionAreNamed(t *testing.T) {
	t.Parallel()
	cfg := setup(t)
	write(t, client(t, cfg), cfg, 0, "read")
	open := client(t, cfg, kgo.TransactionalID(cfg.Kafka.TopicPrefix+"open"))
	require.NoError(t, open.BeginTransaction())
	write(t, open, cfg, 0, "in the transaction")
	write(t, client(t, cfg), cfg, 0, "behind 1", "behind 2")

	cfg.Start.Beginning = true
	f, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, []string{"read"}, all(t, f, 10))
	require.Equal(t, []Waiting{{"events", 0, 3}}, f.Waiting())
	require.Equal(t, "events/0: 3 records wait for a transaction that another producer has not ended", f.Waiting()[0].String())

	told := make(chan []Waiting, 100)
	cfg.Follow, cfg.WidenEvery, cfg.Waiting = true, 20*time.Millisecond, func(w []Waiting) { told <- w }
	following, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	defer following.Close()
	require.Equal(t, []string{"read"}, all(t, following, 1))
	read := make(chan []string, 1)
	go func() { read <- all(t, following, 3) }()
	require.Equal(t, []Waiting{{"events", 0, 3}}, <-told)
	require.NoError(t, open.EndTransaction(t.Context(), kgo.TryCommit))
	require.Equal(t, []string{"in the transaction", "behind 1", "behind 2"}, <-read)
	require.Empty(t, told, "once is enough")
}
