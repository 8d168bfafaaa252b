package outbox

import (
	"runtime"
	"sync"
)

// lane is what is published in order: rows of one topic and key.
type lane struct{ topic, key string }

func laneOf(r Row) lane { return lane{r.Record.Topic, string(r.Record.Key)} }

// queue is the rows of one lane that wait. A queue is ready (in memory.ready) or in the hands of one publisher while it
// has rows, and forgotten when it has none.
type queue struct {
	lane lane
	rows []Row
}

// memory is what this process was handed and has not seen deleted yet, plus what it must not overtake.
//
// It is open or closed. Closed, at the start and after it was full, it takes nothing: rows stay in the table. To open
// again, reopen lists what is in the table, and the lanes found there stay shut (spilled) until recovery has published
// their rows: nothing overtakes them.
type memory struct {
	maxRows, maxBytes int
	ready             chan *queue // never full: it has room for as many lanes as rows

	mu       sync.Mutex
	open     bool
	finished bool // for good: the relay stops
	lanes    map[lane]*queue
	rows     map[int64]int // bytes of each row from hand-over to delete, by id
	bytes    int
	spilled  map[lane]map[int64]struct{} // rows left to recovery that later ones must not overtake, while open
	late     []Row                       // rows turned away while reopen looks at the table
	looking  bool
	deleted  map[int64]struct{} // rows deleted since recovery began to read, while it reads
}

func newMemory(maxRows, maxBytes int) *memory {
	return &memory{maxRows: maxRows, maxBytes: maxBytes, ready: make(chan *queue, maxRows), lanes: make(map[lane]*queue),
		rows: make(map[int64]int), spilled: make(map[lane]map[int64]struct{})}
}

// add takes rows over and returns how many it left to the table.
func (m *memory) add(rows []Row) (spilled int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		if !m.take(r) {
			spilled++
		}
	}
	return spilled
}

func (m *memory) take(r Row) bool {
	if !m.open || m.finished {
		if m.looking {
			m.late = append(m.late, r)
		}
		return false
	}
	l := laneOf(r)
	if ids := m.spilled[l]; ids != nil {
		ids[r.ID] = struct{}{}
		return false
	}
	size := len(r.Record.Value)
	if len(m.rows) >= m.maxRows || m.bytes+size > m.maxBytes {
		m.open = false
		clear(m.spilled)
		return false
	}
	m.rows[r.ID] = size
	m.bytes += size
	q := m.lanes[l]
	if q == nil {
		q = &queue{lane: l}
		m.lanes[l] = q
		m.ready <- q
	}
	q.rows = append(q.rows, r)
	return true
}

// readyWith returns q and what else is ready just now, limit queues at most.
func (m *memory) readyWith(q *queue, limit int) []*queue {
	runtime.Gosched() // whoever is about to hand rows over
	queues := []*queue{q}
	for len(queues) < limit {
		select {
		case q, ok := <-m.ready:
			if !ok {
				return queues
			}
			queues = append(queues, q)
		default:
			return queues
		}
	}
	return queues
}

// begin takes the waiting rows of a queue.
func (m *memory) begin(q *queue) []Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := q.rows
	q.rows = nil
	return rows
}

// end gives a queue back: more rows may have come, else it is forgotten.
func (m *memory) end(q *queue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(q.rows) > 0 {
		m.ready <- q
		return
	}
	delete(m.lanes, q.lane)
	m.closeWhenDone()
}

// finish takes nothing more and lets publishers end when the lanes are empty.
func (m *memory) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.finished = true
	m.closeWhenDone()
}

func (m *memory) closeWhenDone() {
	if m.finished && len(m.lanes) == 0 {
		close(m.ready)
	}
}

// forget drops rows that are deleted from the table.
func (m *memory) forget(rows []Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		m.bytes -= m.rows[r.ID]
		delete(m.rows, r.ID)
		if m.deleted != nil {
			m.deleted[r.ID] = struct{}{}
		}
	}
}

// reading brackets a read of the table: rows that are deleted from begin on are told by ours, although they are gone.
func (m *memory) reading(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deleted = nil; yes {
		m.deleted = make(map[int64]struct{})
	}
}

// ours reports whether the memory path has the row, or had it when recovery began to read.
func (m *memory) ours(id int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, here := m.rows[id]
	_, gone := m.deleted[id]
	return here || gone
}

// busy reports whether rows of the lane wait here or are being published.
func (m *memory) busy(l lane) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lanes[l] != nil
}

func (m *memory) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows)
}

// roomToOpen reports whether memory is closed and has room to open, and starts to collect what is turned away from now
// on. Call opened or stayClosed next.
func (m *memory) roomToOpen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open || m.finished || len(m.rows) > m.maxRows/2 || m.bytes > m.maxBytes/2 {
		return false
	}
	m.looking, m.late = true, nil
	return true
}

// opened opens memory, given what stands in the table. Rows that came meanwhile count as standing there.
func (m *memory) opened(standing []Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range append(standing, m.late...) {
		if _, mine := m.rows[r.ID]; !mine {
			m.spill(r)
		}
	}
	m.open, m.looking, m.late = true, false, nil
}

func (m *memory) spill(r Row) {
	l := laneOf(r)
	if m.spilled[l] == nil {
		m.spilled[l] = make(map[int64]struct{})
	}
	m.spilled[l][r.ID] = struct{}{}
}

func (m *memory) stayClosed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looking, m.late = false, nil
}

// shut returns the rows that keep their lanes shut.
func (m *memory) shut() []int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []int64
	for _, rows := range m.spilled {
		for id := range rows {
			ids = append(ids, id)
		}
	}
	return ids
}

// recovered opens the lanes of rows that are gone from the table: those of asked that are not in standing.
func (m *memory) recovered(asked []int64, standing map[int64]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	gone := make(map[int64]struct{}, len(asked))
	for _, id := range asked {
		if !standing[id] {
			gone[id] = struct{}{}
		}
	}
	for l, rows := range m.spilled {
		for id := range rows {
			if _, ok := gone[id]; ok {
				delete(rows, id)
			}
		}
		if len(rows) == 0 {
			delete(m.spilled, l)
		}
	}
}
