package audit_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/toolbox/audit"
)

// After a move to another cluster the letters name places of the old one. Their records are known all the same, in each
// copy, and another record at such a place is not excused.
func TestAuditKnowsDeadLettersInACopyOfTheirTopic(t *testing.T) {
	t.Parallel()
	p := play(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(p.topics.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer client.Close()
	parked := &kgo.Record{Topic: p.topics.Kafka.TopicPrefix + "orders", Key: []byte("copied"), Value: []byte(`{"order_id":"copied","user_id":7,"total":1}`)}
	require.NoError(t, client.ProduceSync(t.Context(), parked).FirstErr())
	again := *parked
	again.Partition++
	require.NoError(t, client.ProduceSync(t.Context(), &again).FirstErr())
	other := &kgo.Record{Topic: parked.Topic, Value: []byte(`{"order_id":"another","user_id":7,"total":1}`)}
	require.NoError(t, client.ProduceSync(t.Context(), other).FirstErr())

	db, err := pgx.Connect(t.Context(), p.adminURL)
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), `INSERT INTO orders.dead_letters (topic, partition, record_offset, record_time, key, value, reason, detail, state)
		VALUES ('orders', $1, $2, $3, $4, $5, 'panic', '', 'discarded')`, other.Partition, other.Offset, parked.Timestamp, parked.Key, parked.Value)
	require.NoError(t, err)
	require.NoError(t, db.Close(t.Context()))

	report, err := audit.Run(t.Context(), p.config(t, p.adminURL))
	require.NoError(t, err)
	last := report.Checks[len(report.Checks)-1]
	require.Equal(t, "topics", last.Name)
	require.Equal(t, []string{"another is pending on the topics, and there is no such order"}, last.Examples)
}
