package bus_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/kafka"
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

// batch sends a batch to partition 0 as it is, which no producer would make.
func (f *fixture) batch(b kmsg.RecordBatch) {
	f.t.Helper()
	b.Magic, b.ProducerID, b.ProducerEpoch, b.FirstSequence, b.NumRecords = 2, -1, -1, -1, 1
	b.FirstTimestamp, b.MaxTimestamp = time.Now().UnixMilli(), time.Now().UnixMilli()
	b.Length = int32(len(b.Records)) + 49
	encoded := b.AppendTo(nil)
	binary.BigEndian.PutUint32(encoded[17:], crc32.Checksum(encoded[21:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: f.cfg.TopicPrefix + messages.TopicOrders,
		Partitions: []kmsg.ProduceRequestTopicPartition{{Records: encoded}}}}
	resp, err := req.RequestWith(f.t.Context(), f.hostile(kgo.MaxVersions(kversion.V2_8_0())))
	require.NoError(f.t, err)
	require.NoError(f.t, kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
}

// One record of 150 KB as it is stored, and of 150 MB inflated. It is read in a small part of that memory, and the message
// behind it is handled. This test runs alone, because it measures.
func TestARecordOf150MBIsSteppedOverInLittleMemory(t *testing.T) {
	f := setupAt(t, testkit.Brokers(t))
	_, err := kafka.CreateTopics(t.Context(), f.cfg, []kafka.TopicSpec{
		{Name: messages.TopicOrders, Partitions: 1, ReplicationFactor: 1, MaxBytes: 1 << 20},
		{Name: messages.TopicPayments, Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	const size = 150 << 20
	length := binary.AppendVarint(nil, size)
	var compressed bytes.Buffer
	zip := gzip.NewWriter(&compressed)
	write := func(p []byte) {
		_, err := zip.Write(p)
		require.NoError(t, err)
	}
	write(binary.AppendVarint(nil, int64(4+len(length)+size+1)))
	write([]byte{0, 0, 0, 1}) // no attributes, no deltas, no key
	write(length)
	zeros := make([]byte, 1<<20)
	for range size / len(zeros) {
		write(zeros)
	}
	write([]byte{0}) // no headers
	require.NoError(t, zip.Close())
	f.batch(kmsg.RecordBatch{Attributes: 1, Records: compressed.Bytes()})
	f.produce(f.hostile(), 0, order("behind"))

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := make(chan string, 1)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		got <- in.Event.OrderID
		return bus.Result{}
	}))
	require.Equal(t, "behind", next(t, got))
	require.Equal(t, "batch_too_large", next(t, f.parked.ch).reason)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(60<<20))
}

// A broker may keep what it should have refused, or its disk may have bent it. The partition goes on all the same.
func TestABatchThatCannotBeDecodedIsSteppedOver(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]kmsg.RecordBatch{
		"no gzip":         {Attributes: 1, Records: []byte("no gzip at all")},
		"no zstd":         {Attributes: 4, Records: []byte("no zstd at all")},
		"no record":       {Records: binary.AppendVarint(nil, -5)},
		"a key beyond it": {Records: append(binary.AppendVarint(nil, 4), 0, 0, 0, 0x7e)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1)) // a real broker takes none of these
			require.NoError(t, err)
			t.Cleanup(cluster.Close)
			f := setupAt(t, cluster.ListenAddrs())
			f.createTopics(1, messages.TopicOrders, messages.TopicPayments)
			f.produce(f.hostile(), 0, order("before"))
			f.batch(bad)
			f.produce(f.hostile(), 0, order("behind"))
			got := make(chan string, 10)
			f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
				got <- in.Event.OrderID
				return bus.Result{}
			}), often)
			require.ElementsMatch(t, []string{"before", "behind"}, []string{next(t, got), next(t, got)}, "two keys, so in any order")
			l := next(t, f.parked.ch)
			require.Equal(t, []any{"batch_unreadable", int64(1), int64(1)}, []any{l.reason, l.record.Offset, l.record.LastOffset})
			testkit.Eventually(t, f.committed(3))
		})
	}
}

// What was read and waits to be handled is bounded for the process, however large the records and however many the
// partitions. This test runs alone, because it measures.
func TestLargeRecordsThatWaitTakeLittleMemory(t *testing.T) {
	for name, codec := range map[string]kgo.CompressionCodec{"as they are": kgo.NoCompression(), "compressed": kgo.SnappyCompression()} {
		t.Run(name, func(t *testing.T) {
			f := setupAt(t, testkit.Brokers(t))
			_, err := kafka.CreateTopics(t.Context(), f.cfg, []kafka.TopicSpec{
				{Name: messages.TopicOrders, Partitions: 3, ReplicationFactor: 1, MaxBytes: 1 << 20},
				{Name: messages.TopicPayments, Partitions: 1, ReplicationFactor: 1}})
			require.NoError(t, err)
			const records, size = 90, 900 << 10
			client := f.hostile(kgo.ProducerBatchCompression(codec))
			value := bytes.Repeat([]byte("x"), size)
			for i := range records {
				f.produce(client, int32(i%3), value)
			}
			client.Close()
			before := heap()
			f.parked.hold = make(chan struct{}) // nothing gets on
			release := sync.OnceFunc(func() { close(f.parked.hold) })
			f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result { return bus.Result{} }))
			t.Cleanup(release)
			held := uint64(0)
			for range 15 { // as many fit into the process's windows
				next(t, f.parked.ch)
				held = max(held, heap())
			}
			t.Logf("%d MB wait, %d MB of heap are taken", records*size>>20, (held-min(before, held))>>20)
			require.Less(t, held-min(before, held), uint64(50<<20), "what waits is bounded")
			release()
			for range records {
				next(t, f.parked.ch)
			}
		})
	}
}

// A partition whose window is full keeps no other partition from being read.
func TestAPartitionWithoutRoomHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	const partitions, records, size = 4, 100, 100 << 10 // 81 records fill a window
	f := setupAt(t, testkit.Brokers(t))
	_, err := kafka.CreateTopics(t.Context(), f.cfg, []kafka.TopicSpec{
		{Name: messages.TopicOrders, Partitions: partitions, ReplicationFactor: 1, MaxBytes: kafka.MaxBatchBytes},
		{Name: messages.TopicPayments, Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	f.parked.hold = make(chan struct{})
	release := sync.OnceFunc(func() { close(f.parked.hold) })
	got := make(chan string, 10)
	f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		got <- in.Event.OrderID
		return bus.Result{}
	}))
	t.Cleanup(release)
	client := f.hostile()
	placed := func(partition int) {
		id := fmt.Sprint("on-", partition)
		f.produce(client, int32(partition), order(id))
		require.Equal(t, id, next(t, got))
	}
	for p := range partitions {
		placed(p) // each is read now
	}
	for range records {
		f.produce(client, 0, bytes.Repeat([]byte("x"), size))
	}
	for range 8 << 20 / size {
		next(t, f.parked.ch)
	}
	for range 5 { // each time the orders are in another answer of the broker
		for p := range partitions - 1 {
			placed(p + 1)
		}
	}
	release()
	testkit.Eventually(t, f.committed(records+1))
}

// heap is what is in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
