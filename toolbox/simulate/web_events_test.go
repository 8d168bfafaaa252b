package simulate

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/feed"
)

func TestEventsThatKafkaDoesNotConfirmAreLost(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody answers
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	w, err := newWriter(kafka.Config{Brokers: []string{l.Addr().String()}}, 100*time.Millisecond)
	require.NoError(t, err)
	for range 20_000 { // more than are kept waiting
		w.Write("ada", []byte(`{}`), time.Now())
	}
	lost, err := w.Close()
	require.Equal(t, int64(20_000), lost)
	require.ErrorIs(t, err, ErrNotConfirmed)
}

func TestEventsAreInTheTopicAUsersInTheirOrder(t *testing.T) {
	t.Parallel()
	cfg := kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: testkit.Prefix(t)}
	_, err := OpenWriter(t.Context(), cfg, 30*time.Second)
	var unknown *feed.UnknownTopicError
	require.ErrorAs(t, err, &unknown)
	_, err = kafka.CreateTopics(t.Context(), cfg, []kafka.TopicSpec{{Name: Topic, Partitions: 3, ReplicationFactor: 1}})
	require.NoError(t, err)
	w, err := OpenWriter(t.Context(), cfg, 30*time.Second)
	require.NoError(t, err)
	began := time.Now().Add(-time.Hour).UnixMilli() // Kafka deletes records that are older than its retention
	for n := range 300 {
		w.Write(fmt.Sprint("shopper-", n%10), fmt.Appendf(nil, "%d", n), time.UnixMilli(began+int64(n)))
	}
	lost, err := w.Close()
	require.NoError(t, err)
	require.Zero(t, lost)

	reader, err := feed.Open(t.Context(), feed.Config{Kafka: cfg, Topics: []string{Topic}, Start: feed.Start{Beginning: true}, OpenTime: 30 * time.Second})
	require.NoError(t, err)
	defer reader.Close()
	last, count := map[string]int{}, 0
	for {
		records, err := reader.Poll(t.Context())
		if err != nil {
			break
		}
		for _, r := range records {
			n := 0
			_, err := fmt.Sscan(string(r.Value), &n)
			require.NoError(t, err)
			require.GreaterOrEqual(t, n, last[string(r.Key)])
			require.Equal(t, began+int64(n), r.Timestamp.UnixMilli())
			last[string(r.Key)] = n
			count++
		}
	}
	require.Equal(t, 300, count)
}
