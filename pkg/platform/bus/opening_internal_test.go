package bus

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/platform/kafka"
)

// Kafka that is just coming up refuses to open producers for a while. The client's own constructor leaves a connected
// client behind each time; the package's leak check sees it.
func TestAProducerThatKafkaWillNotOpenYetTriesAgainAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	refused := make(chan struct{}, 3)
	cluster.ControlKey(int16(kmsg.InitProducerID), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if len(refused) == cap(refused) {
			cluster.DropControl()
			return nil, nil, false
		}
		cluster.KeepControl()
		refused <- struct{}{}
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		return resp, nil, true
	})
	p, err := NewProducer(ProducerConfig{Config: kafka.Config{Brokers: cluster.ListenAddrs()}, Service: "test", Log: quiet()})
	require.NoError(t, err)
	require.ErrorContains(t, p.Check(t.Context()), "kafka producer")
	receive(t, p.connected, time.Minute, "it did not connect once it was allowed to")
	require.Len(t, refused, 3)
	require.NoError(t, p.Check(t.Context()))
	require.NoError(t, p.Close())
}
