package outbox

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
)

// rowOf returns a row of 10 bytes in the lane of key.
func rowOf(id int64, key string) Row {
	return Row{ID: id, Record: messages.Record{Topic: "orders", Key: []byte(key), Value: make([]byte, 10)}}
}

// memoryIn returns a memory for 4 rows or 60 bytes, in the state. Lane "w" waits for row 1 when it is open.
func memoryIn(t *testing.T, state memoryState) *memory {
	t.Helper()
	m := newMemory(4, 60)
	if state == memoryOpening || state == memoryOpen {
		require.True(t, m.beginOpening())
	}
	if state == memoryOpen {
		m.opened([]Row{rowOf(1, "w")})
	}
	if state == memoryStopped {
		m.stop()
	}
	return m
}

func TestMemoryGoesFromStateToState(t *testing.T) {
	t.Parallel()
	full := []Row{rowOf(11, "a"), rowOf(12, "b"), rowOf(13, "c"), rowOf(14, "d"), rowOf(15, "e")}
	cases := map[string]struct {
		from, to memoryState
		do       func(m *memory)
		taken    int // rows that memory holds then
		waits    int // rows that lanes wait for then
	}{
		"closed, a row comes":                {memoryClosed, memoryClosed, func(m *memory) { m.add(full[:1]) }, 0, 0},
		"closed, it begins to open":          {memoryClosed, memoryOpening, func(m *memory) { m.beginOpening() }, 0, 0},
		"closed, an opening that is over":    {memoryClosed, memoryClosed, func(m *memory) { m.opened(full) }, 0, 0},
		"closed, it stops":                   {memoryClosed, memoryStopped, func(m *memory) { m.stop() }, 0, 0},
		"opening, a row comes":               {memoryOpening, memoryOpening, func(m *memory) { m.add(full[:1]) }, 0, 0},
		"opening, it does not begin again":   {memoryOpening, memoryOpening, func(m *memory) { m.beginOpening() }, 0, 0},
		"opening, the table is empty":        {memoryOpening, memoryOpen, func(m *memory) { m.opened(nil) }, 0, 0},
		"opening, rows stand and rows came":  {memoryOpening, memoryOpen, func(m *memory) { m.add(full[:2]); m.opened(full[2:4]) }, 0, 4},
		"opening, the table is not readable": {memoryOpening, memoryClosed, func(m *memory) { m.add(full[:1]); m.stayClosed() }, 0, 0},
		"opening, it stops":                  {memoryOpening, memoryStopped, func(m *memory) { m.stop(); m.opened(full) }, 0, 0},
		"open, a row comes":                  {memoryOpen, memoryOpen, func(m *memory) { m.add(full[:1]) }, 1, 1},
		"open, a row of a lane that waits":   {memoryOpen, memoryOpen, func(m *memory) { m.add([]Row{rowOf(2, "w")}) }, 0, 2},
		"open, the lane's row is recovered":  {memoryOpen, memoryOpen, func(m *memory) { m.recovered([]int64{1}, nil); m.add([]Row{rowOf(2, "w")}) }, 1, 0},
		"open, the lane's row still stands":  {memoryOpen, memoryOpen, func(m *memory) { m.recovered([]int64{1}, map[int64]bool{1: true}) }, 0, 1},
		"open, one row too many":             {memoryOpen, memoryClosed, func(m *memory) { m.add(full) }, 4, 0},
		"open, one byte too many": {memoryOpen, memoryClosed, func(m *memory) {
			large := rowOf(16, "f")
			large.Record.Value = make([]byte, 51)
			m.add([]Row{full[0], large})
		}, 1, 0},
		"open, it does not begin to open":        {memoryOpen, memoryOpen, func(m *memory) { m.beginOpening() }, 0, 1},
		"open, it stops and keeps what it has":   {memoryOpen, memoryStopped, func(m *memory) { m.add(full[:2]); m.stop(); m.add(full[2:]) }, 2, 1},
		"full, it is more than half full":        {memoryOpen, memoryClosed, func(m *memory) { m.add(full); m.forget(full[:1]); m.beginOpening() }, 3, 0},
		"full, half of it is gone":               {memoryOpen, memoryOpening, func(m *memory) { m.add(full); m.forget(full[:2]); m.beginOpening() }, 2, 0},
		"full, its own rows do not make it wait": {memoryOpen, memoryOpen, func(m *memory) { m.add(full); m.forget(full[:2]); m.beginOpening(); m.opened(full[2:]) }, 2, 1},
		"stopped, it does not begin to open":     {memoryStopped, memoryStopped, func(m *memory) { m.beginOpening() }, 0, 0},
		"stopped, a row comes":                   {memoryStopped, memoryStopped, func(m *memory) { m.add(full[:1]) }, 0, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := memoryIn(t, c.from)
			c.do(m)
			require.Equal(t, c.to, m.state)
			require.Equal(t, c.taken, m.len())
			require.Len(t, m.waitingFor(), c.waits)
			if m.state != memoryOpening {
				require.Empty(t, m.late)
			}
		})
	}
}

func TestALaneIsInOnePublishersHands(t *testing.T) {
	t.Parallel()
	m := memoryIn(t, memoryOpen)
	require.Zero(t, m.add([]Row{rowOf(11, "a"), rowOf(12, "a")}))
	q := <-m.lanes.ready
	require.Equal(t, []Row{rowOf(11, "a"), rowOf(12, "a")}, m.begin(q))
	require.Zero(t, m.add([]Row{rowOf(13, "a")}))
	require.Empty(t, m.lanes.ready, "the lane is not ready while a publisher has it")
	require.True(t, m.busy(lane{"orders", "a"}))
	m.end(q)
	require.Same(t, q, <-m.lanes.ready, "a row came meanwhile")
	require.Equal(t, []Row{rowOf(13, "a")}, m.begin(q))
	m.stop()
	m.end(q)
	require.False(t, m.busy(lane{"orders", "a"}))
	_, ok := <-m.lanes.ready
	require.False(t, ok, "stopped and empty: the publishers end")
}
