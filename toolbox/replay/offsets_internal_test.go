package replay

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// asked is a topic with three records and a group that has committed nothing.
type asked struct {
	*brokers
	client.ConsumerGroup
	t *testing.T
}

func ask(t *testing.T) asked {
	t.Helper()
	cfg := kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: testkit.Prefix(t)}
	_, err := kafka.CreateTopics(t.Context(), cfg, []kafka.TopicSpec{{Name: "orders", Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	b, err := connect(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(b.close)
	a := asked{b, client.ConsumerGroup{Topic: "orders", KafkaTopic: cfg.TopicPrefix + "orders", Group: cfg.TopicPrefix + "orders.orders"}, t}
	for range 3 {
		a.write()
	}
	return a
}

func (a asked) write() {
	a.t.Helper()
	require.NoError(a.t, a.client.ProduceSync(a.t.Context(), &kgo.Record{Topic: a.KafkaTopic}).FirstErr())
}

func (a asked) commit(at int64, beside string) {
	a.t.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: a.KafkaTopic, At: at, LeaderEpoch: -1, Metadata: beside})
	done, err := a.admin.CommitOffsets(a.t.Context(), a.Group, offsets)
	require.NoError(a.t, err)
	require.NoError(a.t, done.Error())
}

// TestOffsetsOfATopicThatWasDeletedAreNotReplayed: the group begins anew in the one that has the name now.
func TestOffsetsOfATopicThatWasDeletedAreNotReplayed(t *testing.T) {
	t.Parallel()
	a := ask(t)
	id, err := a.topicID(t.Context(), a.ConsumerGroup)
	require.NoError(t, err)
	require.Len(t, id, 22)
	for name, c := range map[string]struct {
		at     int64
		beside string
		again  int64
	}{
		"of this topic":       {2, kafka.BesideOffset(id), 2},
		"moved by a person":   {2, "", 2},
		"of another topic":    {2, kafka.BesideOffset("another"), 0},
		"beyond the log":      {38, kafka.BesideOffset(id), 0},
		"beyond, by a person": {38, "", 0},
	} {
		a.commit(c.at, c.beside)
		planned, err := a.plan(t.Context(), a.ConsumerGroup, From{}, -1)
		require.NoError(t, err)
		require.Equal(t, c.again, planned.again(), name)
	}
}

// TestAReplayKeepsTheTopicsIDBesideTheOffsets and ends when the topic is made anew meanwhile.
func TestAReplayKeepsTheTopicsIDBesideTheOffsets(t *testing.T) {
	t.Parallel()
	a := ask(t)
	a.commit(3, "")
	planned, err := a.plan(t.Context(), a.ConsumerGroup, From{}, -1)
	require.NoError(t, err)
	require.NoError(t, a.reset(t.Context(), "orders", planned))
	far, err := a.admin.FetchOffsets(t.Context(), a.Group)
	require.NoError(t, err)
	require.Equal(t, kafka.BesideOffset(planned.topicID), far[a.KafkaTopic][0].Metadata)
	left, err := a.left(t.Context(), "orders", []group{planned})
	require.NoError(t, err)
	require.EqualValues(t, 3, left)

	answer, err := a.admin.DeleteTopic(t.Context(), a.KafkaTopic)
	require.NoError(t, err)
	require.NoError(t, answer.Err)
	_, err = a.left(t.Context(), "orders", []group{planned})
	var remade *RemadeError
	require.ErrorAs(t, err, &remade)
}

// TestWhatAnOpenTransactionHoldsBackIsNotWaitedFor: nobody can handle it yet.
func TestWhatAnOpenTransactionHoldsBackIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	a := ask(t)
	a.commit(1, "")
	open, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(t)...), kgo.TransactionalID(a.Group))
	require.NoError(t, err)
	defer open.Close()
	require.NoError(t, open.BeginTransaction())
	require.NoError(t, open.ProduceSync(t.Context(), &kgo.Record{Topic: a.KafkaTopic}).FirstErr())
	a.write()
	unread, err := a.behind(t.Context(), a.ConsumerGroup)
	require.NoError(t, err)
	require.EqualValues(t, 2, unread.again())
}
