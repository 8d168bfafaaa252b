package bus

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

func stored(first int64, records int, change func(*sarama.RecordBatch)) *sarama.Records {
	b := &sarama.RecordBatch{FirstOffset: first, LastOffsetDelta: int32(records - 1), Version: 2}
	for range records {
		b.Records = append(b.Records, &sarama.Record{})
	}
	change(b)
	return &sarama.Records{RecordBatch: b}
}

func TestOnlyWhatIsNeverDeliveredIsPassedOver(t *testing.T) {
	t.Parallel()
	of := func(producer int64) func(*sarama.RecordBatch) {
		return func(b *sarama.RecordBatch) { b.ProducerID, b.IsTransactional = producer, true }
	}
	ends := func(producer int64, kind byte) func(*sarama.RecordBatch) {
		return func(b *sarama.RecordBatch) {
			of(producer)(b)
			b.Control = true
			b.Records[0].Key = []byte{0, 0, 0, kind}
		}
	}
	const abort, commit = 0, 1
	aborted := []*sarama.AbortedTransaction{{ProducerID: 7, FirstOffset: 10}}
	all := []*sarama.Records{
		stored(10, 3, of(7)), stored(13, 1, ends(7, abort)), // aborted
		stored(14, 1, ends(8, commit)),
		stored(15, 2, func(b *sarama.RecordBatch) { b.Records = nil }), // compacted
		stored(17, 2, of(7)),                                           // committed, of the same producer
	}
	next, data := passNothing(&sarama.FetchResponseBlock{RecordsSet: all, AbortedTransactions: aborted}, 11)
	require.Equal(t, int64(17), next)
	require.True(t, data)
	next, data = passNothing(&sarama.FetchResponseBlock{RecordsSet: all[:4], AbortedTransactions: aborted}, 11)
	require.Equal(t, int64(17), next)
	require.False(t, data)
	next, data = passNothing(&sarama.FetchResponseBlock{RecordsSet: all}, 11)
	require.Equal(t, int64(11), next, "records in the middle of a batch are read")
	require.True(t, data)
	next, data = passNothing(&sarama.FetchResponseBlock{}, 11)
	require.Equal(t, int64(11), next)
	require.False(t, data)
}
