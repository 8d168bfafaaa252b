package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
)

// hostile is a producer that knows no bound but the broker's.
func (f *fixture) hostile(options ...kgo.Opt) *kgo.Client {
	f.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(f.cfg.Brokers...), kgo.ProducerBatchMaxBytes(200 << 20),
		kgo.BrokerMaxWriteBytes(256 << 20), kgo.RecordPartitioner(kgo.ManualPartitioner())}, options...)...)
	require.NoError(f.t, err)
	f.t.Cleanup(client.Close)
	return client
}

// order is a plain producer's order, as it writes it.
func order(id string) []byte {
	return fmt.Appendf(nil, `{"order_id":%q,"user_id":"u1","total":49.99}`, id)
}

func (f *fixture) produce(client *kgo.Client, partition int32, values ...[]byte) int64 {
	f.t.Helper()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: f.cfg.TopicPrefix + messages.TopicOrders, Partition: partition, Value: v}
	}
	require.NoError(f.t, client.ProduceSync(f.t.Context(), records...).FirstErr())
	return records[0].Offset
}

// A few bytes that inflate to more than is read must not stop the partition, whatever they are compressed with.
func TestABatchThatInflatesIsSteppedOver(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string]kgo.CompressionCodec{"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setupAt(t, testkit.Brokers(t))
			f.createTopics(2, messages.TopicOrders, messages.TopicPayments)
			client := f.hostile(kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond))
			f.produce(client, 0, order("before"))
			bomb := f.produce(client, 0, bytes.Repeat([]byte("x"), 8<<20), []byte("two records"))
			f.produce(client, 0, order("between"))
			again := f.produce(client, 0, bytes.Repeat([]byte("x"), 8<<20))
			f.produce(client, 0, order("behind"))
			f.produce(client, 1, order("elsewhere"))
			got := make(chan string, 10)
			r := f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
				got <- in.Event.OrderID
				return bus.Result{}
			}))
			seen := map[string]bool{}
			for range 4 {
				seen[next(t, got)] = true
			}
			require.Equal(t, map[string]bool{"before": true, "between": true, "behind": true, "elsewhere": true}, seen)
			last := map[int64]int64{} // of each batch, by its first offset
			for range 2 {
				l := next(t, f.parked.ch)
				require.Equal(t, "batch_too_large", l.reason)
				require.Empty(t, l.record.Value)
				require.Contains(t, l.detail, fmt.Sprintf("offsets %d to %d", l.record.Offset, l.record.LastOffset))
				last[l.record.Offset] = l.record.LastOffset
			}
			require.Equal(t, map[int64]int64{bomb: bomb + 1, again: again}, last)
			testkit.Eventually(t, f.committed(again+2))
			require.ErrorContains(t, r.Topics(t.Context()), f.cfg.TopicPrefix+"orders/0", "readiness says which partition is read another way")
			require.Contains(t, f.logs.String(), "diverted")
			f.produce(client, 0, order("later"))
			require.Equal(t, "later", next(t, got), "the partition is read on")
			require.Empty(t, got, "nothing was handed over twice")
		})
	}
}
