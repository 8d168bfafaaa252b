package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/testkit"
)

// TestATopicThatIsMadeAnewIsReadFromItsBeginning: what was read of the old one is not committed for the new one, which would
// hide its first records.
func TestATopicThatIsMadeAnewIsReadFromItsBeginning(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 1)
	for _, value := range []string{`"a"`, `"b"`, `"c"`} {
		w.write(topic, 0, nil, []byte(value))
	}
	c := w.consumer("g", "one", earliest, topic)
	require.Equal(t, []string{"a", "b", "c"}, values(c.read(3)))

	answer, err := w.admin.DeleteTopic(t.Context(), topic)
	require.NoError(t, err)
	require.NoError(t, answer.Err)
	w.topic("test", 1)
	fresh, err := kgo.NewClient(kgo.SeedBrokers(testkit.Brokers(t)...)) // w's own knows the old topic
	require.NoError(t, err)
	defer fresh.Close()
	for _, value := range []string{`"A"`, `"B"`, `"C"`, `"D"`, `"E"`} {
		require.NoError(t, fresh.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr())
	}
	for range 2 { // until it is subscribed again
		told := c.call("GET", c.path+"/records", "")
		require.Equal(t, 40401, told.code(t), told.body)
		require.Contains(t, told.body, "was deleted (and perhaps created again). If it is there again, subscribe again")
	}
	require.LessOrEqual(t, w.committed("g", topic), int64(0))
	c.must("POST", c.path+"/subscription", `{"topics": ["`+topic+`"]}`)
	require.Equal(t, []string{"A", "B", "C", "D", "E"}, values(c.read(5)))
}
