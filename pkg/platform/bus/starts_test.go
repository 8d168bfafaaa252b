package bus_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

// The client begins at the oldest record when the committed offset is behind the log's end, and then commits nothing until
// it gets there: its marks only grow.
func TestAnOffsetBehindTheEndOfTheLogIsReplaced(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	var s seen
	table := s.table()
	first := f.consume(table, often)
	testkit.Eventually(t, f.committed(0)) // so that Kafka's tools know of the group before its first record
	f.writeRound(f.foreign(), "old", 1, 5)
	testkit.Eventually(t, f.committed(5))
	require.NoError(t, first.stop())
	at := f.offsetFetch()
	at.Offset = 100
	f.offsetCommit(at)

	second := f.consume(table, often)
	testkit.Eventually(t, f.committed(5))
	testkit.Eventually(t, remarks("the brokers lost records, and reading begins at the first one", second))
	f.writeRound(f.foreign(), "new", 1, 1)
	testkit.Eventually(t, f.committed(6))
}

// A partition without a leader must not keep the others, which the same session holds, from being read.
func TestAPartitionWhoseLogNobodyTellsKeepsNoOtherFromBeingRead(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	f := setupAt(t, cluster.ListenAddrs())
	f.createTopics(2, messages.TopicOrders, messages.TopicPayments)
	var s seen
	r := f.consume(s.table(), often)
	f.writeRound(f.foreign(), "before", 2, 3)
	testkit.Eventually(t, s.all("before", 2, 3))
	r.Pause(time.Now().Add(time.Hour))
	testkit.Eventually(t, paused(r))
	cluster.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := req.(*kmsg.ListOffsetsRequest)
		if asked.IsolationLevel == 0 { // the client's own question
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range asked.Topics {
			answer := kmsg.ListOffsetsResponseTopic{Topic: topic.Topic}
			for _, p := range topic.Partitions {
				told := kmsg.NewListOffsetsResponseTopicPartition()
				told.Partition = p.Partition
				if p.Partition == 1 {
					told.ErrorCode = kerr.LeaderNotAvailable.Code
				} else {
					told.Offset = 1000
				}
				answer.Partitions = append(answer.Partitions, told)
			}
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, true
	})
	r.Resume()
	f.writeRound(f.foreign(), "all", 2, 3)
	testkit.Eventually(t, s.all("all", 2, 3))
	testkit.Eventually(t, func() error {
		if r.Check(t.Context()) == nil {
			return errors.New("readiness does not tell")
		}
		return nil
	})
}
