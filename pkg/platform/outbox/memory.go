package outbox

import (
	"runtime"
	"sync"
)

// memoryState says what memory does with rows that are handed over. doc.go draws how the states follow each other.
type memoryState int

const (
	memoryClosed  memoryState = iota // rows stay in the table
	memoryOpening                    // rows stay in the table and are noted, while recovery lists the table
	memoryOpen                       // rows are taken, except those of lanes that wait
	memoryStopped                    // rows stay in the table, for good: the relay stops
)

// memory holds the rows that this process was handed and has not deleted yet. Safe for concurrent use.
type memory struct {
	maxRows, maxBytes int

	mu      sync.Mutex // of all that follows, and of what the three parts hold
	state   memoryState
	rows    rowsHeld
	lanes   lanesInWork
	waiting lanesWaiting
	late    []Row // handed over while memory is opening
}

func newMemory(maxRows, maxBytes int) *memory {
	return &memory{maxRows: maxRows, maxBytes: maxBytes, rows: newRowsHeld(), lanes: newLanesInWork(maxRows), waiting: make(lanesWaiting)}
}

// add takes rows over and returns how many of them it left to the table.
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
	name := laneOf(r)
	switch {
	case m.state == memoryOpening:
		m.late = append(m.late, r)
		return false
	case m.state != memoryOpen, m.waiting.follow(name, r.ID):
		return false
	case m.rows.len() >= m.maxRows || m.rows.bytes+len(r.Record.Value) > m.maxBytes:
		// From now on rows of any lane stay in the table. Opening again finds out which.
		m.state = memoryClosed
		clear(m.waiting)
		return false
	}
	m.rows.add(r)
	m.lanes.add(name, r)
	return true
}

// beginOpening reports whether memory is closed and at most half full. From then on it is opening: rows that are handed
// over count as standing in the table. Call opened or stayClosed next.
func (m *memory) beginOpening() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != memoryClosed || m.rows.len() > m.maxRows/2 || m.rows.bytes > m.maxBytes/2 {
		return false
	}
	m.state, m.late = memoryOpening, nil
	return true
}

// opened opens memory, given the rows that stand in the table. Their lanes wait until recovery has published them.
func (m *memory) opened(standing []Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != memoryOpening {
		return
	}
	for _, r := range append(standing, m.late...) {
		if !m.rows.has(r.ID) {
			m.waiting.add(r)
		}
	}
	m.state, m.late = memoryOpen, nil
}

// stayClosed ends opening without success: the table could not be listed, or has too many rows.
func (m *memory) stayClosed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == memoryOpening {
		m.state, m.late = memoryClosed, nil
	}
}

// stop takes no more rows, and ends the publishers once the lanes in work are empty.
func (m *memory) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = memoryStopped
	m.closeWhenDone()
}

func (m *memory) closeWhenDone() {
	if m.state == memoryStopped && len(m.lanes.queues) == 0 {
		close(m.lanes.ready)
	}
}

// readyWith returns q and the other queues that are ready now, limit queues at most.
func (m *memory) readyWith(q *queue, limit int) []*queue {
	runtime.Gosched() // goroutines that are about to hand rows over do so first
	queues := []*queue{q}
	for len(queues) < limit {
		select {
		case q, ok := <-m.lanes.ready:
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

// begin takes the rows of a queue.
func (m *memory) begin(q *queue) []Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	return q.take()
}

// end gives a queue back after its rows were published, or left to the table.
func (m *memory) end(q *queue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lanes.end(q)
	m.closeWhenDone()
}

// busy reports whether rows of the lane are in work here.
func (m *memory) busy(l lane) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lanes.queues[l] != nil
}

// forget drops rows that were deleted from the table.
func (m *memory) forget(rows []Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		m.rows.forget(r.ID)
	}
}

// reading brackets a read of the table: until reading(false), ours is also true of rows that are deleted meanwhile.
func (m *memory) reading(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows.deleted = nil; yes {
		m.rows.deleted = make(map[int64]struct{})
	}
}

// ours reports whether the memory path has the row, or had it when the read of the table began.
func (m *memory) ours(id int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, deleted := m.rows.deleted[id]
	return deleted || m.rows.has(id)
}

func (m *memory) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rows.len()
}

// waitingFor returns the ids of the rows that lanes wait for.
func (m *memory) waitingFor() []int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting.ids()
}

// recovered ends the waiting for those rows of asked that are not in standing: they are gone from the table.
func (m *memory) recovered(asked []int64, standing map[int64]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting.recovered(asked, standing)
}
