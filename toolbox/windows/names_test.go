package windows

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// A producer that writes a new name or currency with each record does not make the counts grow without end.
func TestNamesBeyondTheBoundAreCountedTogether(t *testing.T) {
	t.Parallel()
	tally, added := newTally(time.Minute, 0, map[partition]position{}), newBatch()
	write := func(offset int, value string) {
		tally.add(added, &kgo.Record{Topic: "web", Offset: int64(offset), Timestamp: time.UnixMilli(1), Value: []byte(value)})
	}
	const records = 5 * maxNames
	for i := range records {
		currency := string([]rune{rune('A' + i/676%26), rune('A' + i/26%26), rune('A' + i%26)})
		write(i, fmt.Sprintf(`{"event":"name-%d","amount":1,"currency":%q}`, i, currency))
	}
	write(records, `{"event":"`+strings.Repeat("x", maxNameBytes+1)+`"}`)
	write(records+1, `{"event":"order_placed","order_id":"1","user_id":"u","total":1}`)

	events, names, currencies := int64(0), map[string]int64{}, map[string]bool{}
	for k, c := range added.cells {
		events += c.events
		names[k.event] += c.events
		currencies[k.currency] = true
	}
	require.EqualValues(t, records+2, events, "every event is counted")
	require.LessOrEqual(t, len(names), maxNames+1)
	require.LessOrEqual(t, len(currencies), maxCurrencies+1)
	require.Greater(t, names[OtherNames], int64(records/2))
	require.EqualValues(t, 1, names[messages.EventOrderPlaced], "the contract's names are always told apart")
	require.Positive(t, added.counters.BadAmounts)
}
