package rest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/rest"
)

// "There is nothing" and "nobody could be asked" are not the same answer.
func TestAReadWhileKafkaIsGoneFailsInsteadOfFindingNothing(t *testing.T) {
	t.Parallel()
	broker, err := embedded.StartBroker(embedded.BrokerConfig{})
	require.NoError(t, err)
	defer broker.Stop()
	w := setup(t, func(c *rest.Config) { c.Brokers = broker.Addrs() })
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addrs()...))
	require.NoError(t, err)
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, nil, w.prefix+"test")
	require.NoError(t, err)
	c := w.consumer("g", "c", earliest, w.prefix+"test")
	testkit.Eventually(t, c.has(1))
	require.Empty(t, c.get(""))
	broker.Stop()
	require.Equal(t, 50003, c.call("GET", c.path+"/records", "").code(t))
	got := c.call("POST", "/topics/"+w.prefix+"test", `{"records": [{"value": 1}]}`, "Content-Type: "+asJSON)
	require.Contains(t, got.body, `"partition":null,"offset":null,"error_code":2,"error":"`, "the topic is known, the record was not written")
}

// A group can take seconds to give a new member its partitions. Guides read once and show records.
func TestTheFirstReadWaitsForTheGroup(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 2)
	w.fill(topic, 2, 2)
	// A member that holds the group up until it says so.
	slow, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(t)...), kgo.ConsumerGroup(w.prefix+"g"), kgo.ConsumeTopics(topic),
		kgo.Balancers(kgo.RangeBalancer()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll())
	require.NoError(t, err)
	defer slow.CloseAllowingRebalance()
	require.NotEmpty(t, slow.PollRecords(t.Context(), 1).Records())
	c := w.consumer("g", "c", earliest, topic)
	hold, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	go func() {
		<-hold.Done()
		slow.AllowRebalance()
	}()
	require.Len(t, c.get(""), 1, "of its partition")
}

// A position can be moved as soon as the partition is said to be there.
func TestAPositionMovesTheMomentThePartitionIsGiven(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	w.fill(topic, 1, 3)
	for n := range 10 {
		c := w.consumer(fmt.Sprint("g", n), "c", earliest, topic)
		deadline := time.Now().Add(30 * time.Second)
		for !strings.Contains(c.must("GET", c.path+"/assignments", "").body, topic) {
			require.True(t, time.Now().Before(deadline), errors.New("no partition was given"))
		}
		c.must("POST", c.path+"/positions", `{"offsets": [{"topic": "`+topic+`", "partition": 0, "offset": 2}]}`)
		require.Equal(t, []string{"2"}, values(c.read(1)))
	}
}
