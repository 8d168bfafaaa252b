package lanes

import (
	"testing"
	"testing/synctest"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

// Several partitions together hold no more than the process may, and each of them gets on all the same.
func TestTheWindowsOfAllPartitionsShareTheProcesssBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		size := bounds{messages: 100, bytes: 1000, process: newBudget(1000)}
		first, second := newWindow(size), newWindow(size)
		large := func(offset int64) *sarama.ConsumerMessage {
			return &sarama.ConsumerMessage{Offset: offset, Value: make([]byte, 400)}
		}
		one, two := large(1), large(2)
		require.True(t, first.take(one))
		require.True(t, first.take(two))
		require.False(t, first.take(large(3)), "1200 bytes")
		huge := large(7)
		huge.Value = make([]byte, 5000)
		require.True(t, second.take(huge), "an empty window takes anything")
		require.False(t, second.take(large(8)))
		second.finish(huge)

		more := large(9)
		require.True(t, second.take(more))
		began := make(chan bool, 1)
		go func() { began <- second.begin(large(10), t.Context().Done()) }()
		synctest.Wait()
		require.Empty(t, began, "the other partition has what is left")
		first.finish(one)
		first.finish(two)
		require.True(t, <-began, "what another partition gave back is told")
		first.giveBack()
		second.giveBack()
		require.Zero(t, size.process.used)
	})
}

// Headers take memory too, and a record may be made of nothing else.
func TestAMessagesSizeCountsItsHeaders(t *testing.T) {
	t.Parallel()
	m := &sarama.ConsumerMessage{Value: make([]byte, 10), Headers: []*sarama.RecordHeader{{Key: make([]byte, 100), Value: make([]byte, 1000)}, {}}}
	require.Equal(t, 10+1100+2*headerCost, sizeOf(m))
}
