package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
)

// replicaClientID is what Kafka calls a replica of the service test.
func replicaClientID(replica string) string { return "pasdetrois-test-" + replica }

// dies makes a replica join the group of the service test that is killed as soon as it has partitions. Its session lasts
// longer than any test waits.
func (f *fixture) dies(replica, topic string) {
	f.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cfg.Brokers...), kgo.ClientID(replicaClientID(replica)))
	require.NoError(f.t, err)
	f.t.Cleanup(client.Close)
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType = f.cfg.GroupPrefix+"test."+topic, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 60_000, 60_000
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version, meta.Topics = 1, []string{f.cfg.TopicPrefix + topic}
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: meta.AppendTo(nil)}}
	for {
		resp, err := req.RequestWith(f.t.Context(), client)
		require.NoError(f.t, err)
		if err := kerr.ErrorForCode(resp.ErrorCode); !errors.Is(err, kerr.MemberIDRequired) {
			require.NoError(f.t, err)
			return
		}
		req.MemberID = resp.MemberID
	}
}

// shared checks that these replicas are the members of the group of the service test, and that each has its partitions.
func (f *fixture) shared(topic string, replicas ...string) func() error {
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cfg.Brokers...))
	require.NoError(f.t, err)
	f.t.Cleanup(client.Close)
	return func() error {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = []string{f.cfg.GroupPrefix + "test." + topic}
		resp, err := req.RequestWith(f.t.Context(), client)
		if err != nil {
			return err
		}
		var found []string
		for _, m := range resp.Groups[0].Members {
			found = append(found, strings.TrimPrefix(m.ClientID, replicaClientID("")))
		}
		slices.Sort(found)
		if state := resp.Groups[0].State; state != "Stable" || !slices.Equal(found, replicas) {
			return fmt.Errorf("the group is %s with %v, not stable with %v", state, found, replicas)
		}
		return nil
	}
}

func TestADeadReplicasPartitionsAreTakenOver(t *testing.T) {
	t.Parallel()
	f := setup(t, 4)
	handled := make(chan string, 100)
	c := f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		handled <- in.Event.OrderID
		return bus.Result{}
	}), func(c *bus.ConsumerConfig) { c.Replica = "b" })
	testkit.Eventually(t, f.shared(messages.TopicOrders, "b"))
	f.dies("a1", messages.TopicOrders)
	both := f.shared(messages.TopicOrders, "a1", "b")
	testkit.Eventually(t, both)
	for _, other := range []string{"a", "1", "b", ""} { // nobody takes over from itself
		require.NoError(t, c.TakeOver(t.Context(), other))
		require.NoError(t, both(), "only the dead one goes")
	}

	require.NoError(t, c.TakeOver(t.Context(), "a1"))
	testkit.Eventually(t, f.shared(messages.TopicOrders, "b"))
	require.NoError(t, c.TakeOver(t.Context(), "a1"), "one that is gone is no error")
	require.Contains(t, f.logs.String(), `level=WARN msg="a dead replica was removed from its consumer group" replica=a1 group=`+f.cfg.GroupPrefix+"test.orders")
	require.Contains(t, c.samples(t), "dead_members_removed_total{topic=orders} 1")
	ids := map[string]bool{}
	for i := range 40 {
		ids[fmt.Sprintf("order-%d", i)] = true
		f.publish(fmt.Sprintf("order-%d", i))
	}
	for len(ids) > 0 {
		delete(ids, next(t, handled))
	}
	require.Contains(t, c.samples(t), "consumer_joins_total{topic=orders} 3", "at the start, for the one that came, and when it was gone")
}
