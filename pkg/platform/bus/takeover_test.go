package bus_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// mortal is the network of a replica that can be killed.
type mortal struct {
	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

func (m *mortal) dial(ctx context.Context, network, host string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, host)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	m.conns = append(m.conns, conn)
	return conn, nil
}

// die cuts the replica off, so that its group hears nothing of its end.
func (m *mortal) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	for _, conn := range m.conns {
		_ = conn.Close()
	}
}

// joins makes a replica join the group of the service test. Its session outlasts the whole test on a busy machine.
func (f *fixture) joins(replica, topic string) *mortal {
	f.t.Helper()
	m := new(mortal)
	client, err := kgo.NewClient(kgo.WithContext(f.t.Context()), kgo.Dialer(m.dial), kgo.SeedBrokers(f.cfg.Brokers...), kgo.ClientID(replicaClientID(replica)),
		kgo.ConsumerGroup(f.cfg.GroupPrefix+"test."+topic), kgo.ConsumeTopics(f.cfg.TopicPrefix+topic), kgo.Balancers(kgo.RangeBalancer()),
		kgo.DisableAutoCommit(), kgo.SessionTimeout(5*time.Minute), kgo.RebalanceTimeout(5*time.Minute), kgo.HeartbeatInterval(500*time.Millisecond))
	require.NoError(f.t, err)
	f.t.Cleanup(client.Close)
	return m
}

// inGroup returns the state of the group of the service test, and the replicas in it.
func (f *fixture) inGroup(topic string) func() (state string, replicas []string, err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cfg.Brokers...))
	require.NoError(f.t, err)
	f.t.Cleanup(client.Close)
	return func() (string, []string, error) {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = []string{f.cfg.GroupPrefix + "test." + topic}
		resp, err := req.RequestWith(f.t.Context(), client)
		if err != nil {
			return "", nil, err
		}
		var found []string
		for _, m := range resp.Groups[0].Members {
			found = append(found, strings.TrimPrefix(m.ClientID, replicaClientID("")))
		}
		slices.Sort(found)
		return resp.Groups[0].State, found, kerr.ErrorForCode(resp.Groups[0].ErrorCode)
	}
}

// shared checks that these replicas are the members of the group of the service test, and that each has its partitions.
func (f *fixture) shared(topic string, replicas ...string) func() error {
	members := f.inGroup(topic)
	return func() error {
		state, found, err := members()
		if err == nil && (state != "Stable" || !slices.Equal(found, replicas)) {
			err = fmt.Errorf("the group is %s with %v, not stable with %v", state, found, replicas)
		}
		return err
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
	a1 := f.joins("a1", messages.TopicOrders)
	testkit.Eventually(t, f.shared(messages.TopicOrders, "a1", "b"))
	a1.die()
	takesOver := func(from string) {
		t.Helper()
		testkit.Eventually(t, func() error { return c.TakeOver(t.Context(), from) }) // one attempt has 5 s
	}
	members := f.inGroup(messages.TopicOrders)
	for _, other := range []string{"a", "1", "b", ""} { // nobody takes over from itself
		takesOver(other)
		_, found, err := members() // in any state: on a busy machine b may be joining again
		require.NoError(t, err)
		require.Contains(t, found, "a1", "only the dead one goes")
	}

	takesOver("a1")
	testkit.Eventually(t, f.shared(messages.TopicOrders, "b"))
	takesOver("a1") // one that is gone is no error
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
	require.Regexp(t, `consumer_joins_total\{topic=orders\} ([3-9]|\d\d)\b`, c.samples(t), "at the start, for the one that came, and when it was gone")
}
