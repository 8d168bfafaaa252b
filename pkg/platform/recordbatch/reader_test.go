package recordbatch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/recordbatch"
	"pasdetrois/pkg/platform/testkit"
)

// log is a topic of one partition.
type log struct {
	t       *testing.T
	topic   string
	brokers []string
}

func setup(t *testing.T) *log {
	t.Helper()
	l := &log{t: t, topic: testkit.Prefix(t) + "log", brokers: testkit.Brokers(t)}
	_, err := kafka.CreateTopics(t.Context(), kafka.Config{Brokers: l.brokers}, []kafka.TopicSpec{{Name: l.topic, Partitions: 1, ReplicationFactor: 1}})
	require.NoError(t, err)
	return l
}

func (l *log) client(options ...kgo.Opt) *kgo.Client {
	l.t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(l.brokers...), kgo.DefaultProduceTopic(l.topic),
		kgo.ProducerBatchMaxBytes(32<<20), kgo.BrokerMaxWriteBytes(64<<20))...)
	require.NoError(l.t, err)
	l.t.Cleanup(client.Close)
	return client
}

func (l *log) read(from int64) *recordbatch.Reader {
	l.t.Helper()
	r, err := recordbatch.NewReader([]kgo.Opt{kgo.SeedBrokers(l.brokers...)}, l.topic, 0, from)
	require.NoError(l.t, err)
	l.t.Cleanup(r.Close)
	return r
}

func (l *log) next(r *recordbatch.Reader) *recordbatch.Batch {
	l.t.Helper()
	b, err := r.Next(l.t.Context(), 10*time.Second)
	require.NoError(l.t, err)
	require.NotNil(l.t, b)
	return b
}

// all returns what a batch holds, a line a record.
func (l *log) all(b *recordbatch.Batch) (lines []string) {
	l.t.Helper()
	records, err := b.Open(1 << 20)
	require.NoError(l.t, err)
	for {
		r, ok, err := records.Next()
		require.NoError(l.t, err)
		if !ok {
			return lines
		}
		lines = append(lines, fmt.Sprintf("%d %q %q %q", r.Offset, r.Key, r.Value, r.Headers))
	}
}

// Each batch comes by itself, whole, whatever it is compressed with.
func TestAReaderReadsBatchByBatch(t *testing.T) {
	t.Parallel()
	l := setup(t)
	offset := int64(0)
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		client := l.client(kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(50*time.Millisecond))
		require.NoError(t, client.ProduceSync(t.Context(),
			&kgo.Record{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 100), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte{0xff}}, {}}},
			&kgo.Record{}).FirstErr())
	}
	r := l.read(0)
	for range 5 {
		b := l.next(r)
		require.Equal(t, []int64{offset, offset + 1}, []int64{b.First, b.Last})
		require.WithinDuration(t, time.Now(), b.Time, time.Minute)
		lines := l.all(b)
		require.Len(t, lines, 2)
		require.Contains(t, lines[0], fmt.Sprintf(`%d "k" "vvv`, offset))
		require.Contains(t, lines[0], `[{"h" "\xff"} {"" ""}]`)
		require.Equal(t, fmt.Sprintf(`%d "" "" []`, offset+1), lines[1])
		offset += 2
	}
	b, err := r.Next(t.Context(), time.Millisecond)
	require.NoError(t, err)
	require.Nil(t, b, "nothing more within the time")

	within := l.next(l.read(1))
	require.EqualValues(t, 0, within.First, "the batch that holds the offset")
}

// A reader of committed records gets none of a transaction that was aborted, and no ends of transactions.
func TestAReaderPassesOverWhatWasNeverCommitted(t *testing.T) {
	t.Parallel()
	l := setup(t)
	client := l.client(kgo.TransactionalID(l.topic))
	for _, c := range []struct {
		value  string
		commit kgo.TransactionEndTry
	}{{"aborted", kgo.TryAbort}, {"committed", kgo.TryCommit}, {"aborted too", kgo.TryAbort}, {"committed too", kgo.TryCommit}} {
		require.NoError(t, client.BeginTransaction())
		require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Value: []byte(c.value)}).FirstErr())
		require.NoError(t, client.EndTransaction(t.Context(), c.commit))
	}
	r := l.read(0)
	var got []string
	for range 8 {
		if b := l.next(r); b.Holds() {
			got = append(got, l.all(b)...)
		}
	}
	require.Len(t, got, 2)
	require.Contains(t, got[0], `"committed"`)
	require.Contains(t, got[1], `"committed too"`)
}

func TestAnOffsetThatIsNotThereIsGone(t *testing.T) {
	t.Parallel()
	l := setup(t)
	_, err := l.read(5).Next(t.Context(), time.Second)
	require.ErrorIs(t, err, recordbatch.ErrGone)

	require.NoError(t, l.client().ProduceSync(t.Context(), &kgo.Record{Value: []byte("v")}).FirstErr())
	r := l.read(0)
	require.NoError(t, r.SeekEnd(t.Context()))
	b, err := r.Next(t.Context(), time.Millisecond)
	require.NoError(t, err)
	require.Nil(t, b)
	require.NoError(t, r.SeekBegin(t.Context()))
	require.EqualValues(t, 0, l.next(r).First)
}

// A batch may say anything of itself. What it says wrong is an error of the batch, never a panic, and costs no memory.
func TestABatchThatLiesIsRefusedByItself(t *testing.T) {
	t.Parallel()
	record := func(fields ...byte) []byte { return append(binary.AppendVarint(nil, int64(len(fields))), fields...) }
	good := record(0, 0, 0, 1, 2, 'v', 0) // attributes, time, offset, key null, value, no headers
	for name, c := range map[string]struct {
		change func(*kmsg.RecordBatch)
		says   string
	}{
		"an unknown codec":          {func(b *kmsg.RecordBatch) { b.Attributes = 5 }, "unknown compression 5"},
		"no gzip":                   {func(b *kmsg.RecordBatch) { b.Attributes = 1 }, "gzip"},
		"no snappy":                 {func(b *kmsg.RecordBatch) { b.Attributes = 2 }, "snappy"},
		"no lz4":                    {func(b *kmsg.RecordBatch) { b.Attributes = 3 }, "lz4"},
		"no zstd":                   {func(b *kmsg.RecordBatch) { b.Attributes = 4 }, "zstd"},
		"more records than it has":  {func(b *kmsg.RecordBatch) { b.NumRecords = 1 << 30 }, "ends 1073741823 records before its count"},
		"a record of negative size": {func(b *kmsg.RecordBatch) { b.Records = binary.AppendVarint(nil, -9) }, "before its count"},
		"a key beyond the record":   {func(b *kmsg.RecordBatch) { b.Records = record(0, 0, 0, 0x7e) }, "malformed"},
		"a million headers": {func(b *kmsg.RecordBatch) {
			b.Records = record(append([]byte{0, 0, 0, 1, 1}, binary.AppendVarint(nil, 1<<20)...)...)
		}, "headers"},
		"headers that are missing":  {func(b *kmsg.RecordBatch) { b.Records = record(0, 0, 0, 1, 1, 0x10) }, "header"},
		"an offset beyond its last": {func(b *kmsg.RecordBatch) { b.Records = record(0, 0, 0x20, 1, 1, 0) }, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := kmsg.RecordBatch{FirstOffset: 7, Magic: 2, NumRecords: 1, ProducerID: -1, Records: good}
			c.change(&b)
			parsed := recordbatch.Parse(encode(b))
			require.EqualValues(t, 7, parsed.First)
			require.EqualValues(t, 7, parsed.Last)
			_, err := parsed.Open(1 << 20)
			require.ErrorContains(t, err, c.says)
			require.False(t, errors.Is(err, recordbatch.ErrTooLarge))
		})
	}
	bent := encode(kmsg.RecordBatch{FirstOffset: 7, Magic: 2, NumRecords: 1, Records: good})
	bent[len(bent)-1]++
	_, err := recordbatch.Parse(bent).Open(1 << 20)
	require.ErrorContains(t, err, "checksum")
	old := encode(kmsg.RecordBatch{FirstOffset: 7, Magic: 1, Records: good})
	_, err = recordbatch.Parse(old).Open(1 << 20)
	require.ErrorContains(t, err, "format 1")
}

func FuzzParse(f *testing.F) {
	f.Add(encode(kmsg.RecordBatch{FirstOffset: 7, Magic: 2, NumRecords: 1, Records: []byte{14, 0, 0, 0, 1, 2, 'v', 0}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := recordbatch.Parse(data)
		if b == nil {
			return
		}
		if records, err := b.Open(1 << 16); err == nil {
			for ok := true; ok; {
				if _, ok, err = records.Next(); err != nil {
					t.Fatalf("a batch that opens can be read whole: %v", err)
				}
			}
		}
	})
}

// encode makes a batch as a broker keeps it, with its length and checksum.
func encode(b kmsg.RecordBatch) []byte {
	b.Length = int32(len(b.Records)) + 49
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}
