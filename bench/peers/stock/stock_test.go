package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const n = 200

// setup makes a topic and returns an environment.
func setup(t *testing.T, more map[string]string) map[string]string {
	t.Helper()
	brokers, prefix := testkit.Brokers(t), testkit.Prefix(t)
	_, err := kafka.CreateTopics(t.Context(), kafka.Config{Brokers: brokers, TopicPrefix: prefix}, []kafka.TopicSpec{{Name: "work", Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	env := map[string]string{"KAFKA_BROKERS": strings.Join(brokers, ","), "KAFKA_TOPIC": prefix + "work", "KAFKA_GROUP": prefix + "g", "N": fmt.Sprint(n), "WORK": "1ms"}
	for name, value := range more {
		env[name] = value
	}
	return env
}

func client(t *testing.T, env map[string]string) sarama.Client {
	t.Helper()
	c := sarama.NewConfig()
	c.Producer.Return.Successes = true
	client, err := sarama.NewClient(strings.Split(env["KAFKA_BROKERS"], ","), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestTheForwarderMovesEveryMessage(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, func(context.Context, string) error { return nil })
	env := setup(t, map[string]string{"DATABASE_ADMIN_URL": db.AdminURL})
	r, err := run(t.Context(), []string{"forward"}, env)
	require.NoError(t, err)
	require.Equal(t, n-1, r.Messages)
	require.Positive(t, r.Seconds)
	written, err := client(t, env).GetOffset(env["KAFKA_TOPIC"], 0, sarama.OffsetNewest)
	require.NoError(t, err)
	require.GreaterOrEqual(t, written, int64(n))
}

func TestTheConsumerHandlesOneMessageAfterTheOther(t *testing.T) {
	t.Parallel()
	env := setup(t, nil)
	producer, err := sarama.NewSyncProducerFromClient(client(t, env))
	require.NoError(t, err)
	var all []*sarama.ProducerMessage
	for i := range n {
		all = append(all, &sarama.ProducerMessage{Topic: env["KAFKA_TOPIC"], Key: sarama.StringEncoder(fmt.Sprint(i)), Value: sarama.StringEncoder("x")})
	}
	require.NoError(t, producer.SendMessages(all))
	require.NoError(t, producer.Close())
	r, err := run(t.Context(), []string{"consume"}, env)
	require.NoError(t, err)
	require.Equal(t, n-1, r.Messages)
	require.Greater(t, r.Seconds, (n-1)*time.Millisecond.Seconds(), "each takes its time, one at a time")
}

func TestAWrongEnvironmentIsAnError(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct{ part, name, value string }{
		"forward nor consume": {"both", "", ""},
		"N=1":                 {"consume", "N", "1"},
		"KAFKA_BROKERS":       {"consume", "KAFKA_BROKERS", ""},
		"Work":                {"consume", "WORK", "soon"},
		"DATABASE_ADMIN_URL":  {"forward", "", ""},
	} {
		env := map[string]string{"KAFKA_BROKERS": "127.0.0.1:1", "KAFKA_TOPIC": "t", "N": "10", "WORK": "1ms"}
		env[c.name] = c.value
		_, err := run(t.Context(), []string{c.part}, env)
		require.ErrorContains(t, err, want)
	}
}
