package rest_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/rest"
)

// ruleOf is round robin under another name.
type ruleOf struct {
	kgo.GroupBalancer
	name string
}

func (r ruleOf) ProtocolName() string { return r.name }

// member makes a member of the group that shares its partitions by the rule.
func (w *world) member(group, topic string, rule kgo.GroupBalancer) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(w.t)...), kgo.Balancers(rule), kgo.ConsumerGroup(w.prefix+group),
		kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
	require.NoError(w.t, err)
	w.t.Cleanup(client.CloseAllowingRebalance)
	testkit.Eventually(w.t, func() error {
		described, err := w.admin.DescribeGroups(w.t.Context(), w.prefix+group)
		if err == nil && described[w.prefix+group].State != "Stable" {
			err = errors.New("the group is not stable")
		}
		return err
	})
}

// KafkaJS 2.2.4 shares partitions by a rule of its own name, RoundRobinAssigner; librdkafka 2.x offers range and roundrobin.
func TestAnInstanceSharesAGroupWithOtherClients(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 2)
	for group, rule := range map[string]kgo.GroupBalancer{"kafkajs": ruleOf{kgo.RoundRobinBalancer(), "RoundRobinAssigner"},
		"librdkafka": kgo.RoundRobinBalancer(), "cooperative": kgo.CooperativeStickyBalancer()} {
		w.member(group, topic, rule)
		c := w.consumer(group, "c", earliest, topic)
		testkit.Eventually(t, func() error {
			c.get("?timeout=200")
			if found := len(c.assigned()); found != 1 {
				return errors.New("the instance does not have one of the two partitions")
			}
			return nil
		})
	}
}

// assigned returns the partitions that the instance reads.
func (c *consumer) assigned() []any {
	c.t.Helper()
	return c.must("GET", c.path+"/assignments", "").list(c.t, "partitions")
}

// A group whose members speak a rule that is not known here gives an instance no partition. "Nothing came" would be a lie.
func TestAGroupOfAnUnknownRuleIsAnErrorAtEachRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	w.fill(topic, 1, 1)
	w.member("streams", topic, ruleOf{kgo.RoundRobinBalancer(), "stream"})
	c := w.consumer("streams", "c", earliest, topic)
	for range 4 {
		a := c.call("GET", c.path+"/records?timeout=1000", "")
		require.Equal(t, 50002, a.code(t), a.body)
		require.Contains(t, a.body, "share its partitions by a rule that this program does not know")
		require.NotContains(t, a.body, "INCONSISTENT_GROUP_PROTOCOL")
	}
}

// Behind a server that ends TLS a request says neither the scheme nor the path by which its client came.
func TestTheBaseURLIsWhatTheOperatorSays(t *testing.T) {
	t.Parallel()
	base := func(w *world, headers ...string) string {
		a := w.call("POST", "/consumers/"+w.prefix+"g", "{}", append(headers, "Content-Type: "+plain)...)
		require.Equal(t, 200, a.status, a.body)
		uri, _ := a.object(t)["base_uri"].(string)
		return uri
	}
	forwarded := []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "Forwarded: proto=https;host=evil.example"}
	behind := setup(t, func(c *rest.Config) { c.BaseURL = "https://example.com/kafka/" })
	require.Contains(t, base(behind, forwarded...), "https://example.com/kafka/consumers/"+behind.prefix+"g/instances/")
	alone := setup(t)
	require.Contains(t, base(alone, forwarded...), alone.url+"/consumers/")
	for _, bad := range []string{"example.com", "ftp://example.com", "https://", "https://u:p@example.com", "https://example.com?x=1", "https://example.com#x", "://"} {
		require.ErrorContains(t, rest.Config{Brokers: []string{"k:1"}, BaseURL: bad}.Validate(), "is not an address", bad)
	}
}
