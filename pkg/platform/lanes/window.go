package lanes

import (
	"cmp"
	"slices"
	"sync"

	"github.com/IBM/sarama"
)

// bounds limit a window. It shares the process's bytes with the other windows.
type bounds struct {
	messages, bytes int
	process         *budget // nil = no bound
}

// window holds the records of a claim that were taken up and may not be marked yet.
//
//	marked | 7 unfinished | 8 finished | 9 unfinished | 12 finished | not taken up yet
//	       ^ slots[0]: its end lets the mark move to 8, up to the next unfinished record
//
// Offsets grow with gaps, since compaction and transactions leave some out. The first slot is always unfinished, so a
// window is empty when all its records are marked.
type window struct {
	bounds
	freed chan struct{} // gets a value after records were marked

	mu    sync.Mutex
	slots []slot // in the order of offsets
	bytes int    // of all slots
}

type slot struct {
	message  *sarama.ConsumerMessage
	finished bool
}

func newWindow(size bounds) *window { return &window{bounds: size, freed: make(chan struct{}, 1)} }

// begin takes up the next record once there is room for it. It returns false when ended is closed first.
func (w *window) begin(m *sarama.ConsumerMessage, ended <-chan struct{}) bool {
	for !w.take(m) {
		var elsewhere <-chan struct{}
		if w.fits(m) {
			elsewhere = w.process.wait(sizeOf(m))
		}
		select {
		case <-w.freed:
		case <-elsewhere:
		case <-ended:
			return false
		}
	}
	return true
}

// take takes m up unless the window, or the process's budget, is full. A record of any size fits into an empty window, so
// each partition moves on.
func (w *window) take(m *sarama.ConsumerMessage) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := sizeOf(m)
	if !w.room(size) || !w.process.take(size, len(w.slots) == 0) {
		return false
	}
	w.slots = append(w.slots, slot{message: m})
	w.bytes += size
	return true
}

// fits reports whether only the process's budget keeps m out.
func (w *window) fits(m *sarama.ConsumerMessage) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.room(sizeOf(m))
}

func (w *window) room(size int) bool {
	return len(w.slots) == 0 || len(w.slots) < w.messages && w.bytes+size <= w.bounds.bytes
}

// giveBack returns the window's bytes to the budget. Call it when no record of the window is in work.
func (w *window) giveBack() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process.give(w.bytes)
	w.slots, w.bytes = nil, 0
}

// finish records that m is finished. It returns the newest record up to which all are finished, or nil while m waits for an
// earlier one.
func (w *window) finish(m *sarama.ConsumerMessage) (last *sarama.ConsumerMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, ok := slices.BinarySearchFunc(w.slots, m.Offset, func(s slot, offset int64) int { return cmp.Compare(s.message.Offset, offset) })
	if !ok {
		return nil
	}
	w.slots[i].finished = true
	n, freed := 0, 0
	for n < len(w.slots) && w.slots[n].finished {
		last = w.slots[n].message
		freed += sizeOf(last)
		w.slots[n] = slot{} // frees the record while the array lives on
		n++
	}
	w.slots = w.slots[n:]
	w.bytes -= freed
	w.process.give(freed)
	if n > 0 {
		select {
		case w.freed <- struct{}{}:
		default:
		}
	}
	return last
}

// windowOfProcess bounds the bytes of all windows together, since a service reads several partitions of several topics.
const windowOfProcess = 16 << 20

// budget is a number of bytes that all windows share.
type budget struct {
	limit int

	mu    sync.Mutex
	used  int
	freed chan struct{} // closed when bytes are given back; nil while no window waits
}

func newBudget(limit int) *budget { return &budget{limit: limit} }

// take takes n bytes when they are free, or in any case when it must.
func (b *budget) take(n int, must bool) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !must && b.used+n > b.limit {
		return false
	}
	b.used += n
	return true
}

// give gives n bytes back.
func (b *budget) give(n int) {
	if b == nil || n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}

// wait returns a channel that is closed when n bytes may be free.
func (b *budget) wait(n int) <-chan struct{} {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	freed := b.freed
	if b.used+n <= b.limit {
		close(b.freed)
		b.freed = nil
	}
	return freed
}

// headerCost is what one header of a record costs beside its bytes.
const headerCost = 128

func sizeOf(m *sarama.ConsumerMessage) int {
	size := len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		size += headerCost + len(h.Key) + len(h.Value)
	}
	return size
}
