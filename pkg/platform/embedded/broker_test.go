package embedded_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/kafka"
)

func topics(t *testing.T, broker *embedded.Broker) []string {
	t.Helper()
	found, err := kafka.ListTopics(t.Context(), kafka.Config{Brokers: broker.Addrs()})
	require.NoError(t, err)
	var names []string
	for _, topic := range found {
		names = append(names, topic.Name)
	}
	return names
}

func TestTheBrokerKeepsItsTopicsInItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/kafka"
	first, err := embedded.StartBroker(embedded.BrokerConfig{DataDir: dir})
	require.NoError(t, err)
	require.Empty(t, topics(t, first), "none are there by themselves")
	_, err = kafka.CreateTopics(t.Context(), kafka.Config{Brokers: first.Addrs()},
		[]kafka.TopicSpec{{Name: "things", Partitions: 2, ReplicationFactor: 1}})
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(first.Addrs()[0])
	require.NoError(t, err)
	first.Stop()

	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	second, err := embedded.StartBroker(embedded.BrokerConfig{DataDir: dir, Port: number})
	require.NoError(t, err)
	t.Cleanup(second.Stop)
	require.Equal(t, []string{"127.0.0.1:" + port}, second.Addrs())
	require.Equal(t, []string{"things"}, topics(t, second))
}
