package kafka

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	err := Config{Brokers: []string{"nohost", "ok:1"}, TopicPrefix: "a b", GroupPrefix: "c/d"}.Validate()
	require.ErrorContains(t, err, `"nohost" is not host:port`)
	require.ErrorContains(t, err, "KAFKA_TOPIC_PREFIX")
	require.ErrorContains(t, err, "KAFKA_GROUP_PREFIX")
	require.ErrorContains(t, Config{}.Validate(), "KAFKA_BROKERS is empty")
}
