package windows

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// A producer that writes a new name with each record does not make the counts grow without end.
func TestNamesBeyondTheBoundAreCountedTogether(t *testing.T) {
	t.Parallel()
	tally, added := newTally(time.Minute, 0, map[partition]position{}), newBatch()
	write := func(offset int, value string) {
		tally.add(added, &kgo.Record{Topic: "web", Offset: int64(offset), Timestamp: time.UnixMilli(1), Value: []byte(value)})
	}
	const records = 5 * maxNames
	for i := range records {
		write(i, fmt.Sprintf(`{"event":"name-%d"}`, i))
	}
	write(records, `{"event":"order_placed","order_id":"1","user_id":"u","total":1}`)

	events, names := int64(0), map[string]int64{}
	for k, c := range added.cells {
		events += c.events
		names[k.event] += c.events
	}
	require.EqualValues(t, records+1, events, "every event is counted")
	require.LessOrEqual(t, len(names), maxNames+1)
	require.Greater(t, names[OtherNames], int64(records/2))
	require.EqualValues(t, 1, names[messages.EventOrderPlaced], "the contract's names are always told apart")
}
