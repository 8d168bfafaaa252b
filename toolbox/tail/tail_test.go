package tail

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRecordsOfSeveralPartitionsReadInTheOrderOfTimeAndKeepTheirOwn(t *testing.T) {
	t.Parallel()
	at := func(topic string, offset int64, second int) *kgo.Record {
		return &kgo.Record{Topic: topic, Offset: offset, Timestamp: time.Unix(int64(second), 0)}
	}
	var order []string
	for _, r := range byTime([]*kgo.Record{at("a", 0, 5), at("a", 1, 1), at("a", 2, 9), at("b", 0, 3), at("b", 1, 6), at("c", 0, 6)}) {
		order = append(order, r.Topic+string(rune('0'+r.Offset)))
	}
	require.Equal(t, []string{"b0", "a0", "a1", "b1", "c0", "a2"}, order)
	require.Empty(t, byTime(nil))
}
