package feed

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/platform/kafka"
)

// TestCloseDoesNotWaitForABrokerThatHangs: neither reading alone nor, beyond the last commit's time, in a group.
func TestCloseDoesNotWaitForABrokerThatHangs(t *testing.T) {
	t.Parallel()
	for _, group := range []string{"", "watchers"} {
		t.Run("group "+group, func(t *testing.T) {
			t.Parallel()
			broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events"))
			require.NoError(t, err)
			defer broker.Close()
			f := open(t, Config{Kafka: kafka.Config{Brokers: broker.ListenAddrs()}, Topics: []string{"events"}, Group: group, Follow: true,
				Start: Start{Beginning: true}, OpenTime: 30 * time.Second})
			writer, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...))
			require.NoError(t, err)
			defer writer.Close()
			require.NoError(t, writer.ProduceSync(t.Context(), &kgo.Record{Topic: "events", Value: []byte("{}")}).FirstErr())
			records, err := f.Poll(t.Context())
			require.NoError(t, err)
			f.Done(records[0])

			hung := make(chan struct{})
			defer close(hung)
			broker.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
				<-hung
				return nil, nil, false
			})
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				f.Close()
			}()
			select {
			case <-closed:
			case <-time.After(time.Minute):
				require.Fail(t, "it waits for the broker")
			}
		})
	}
}
