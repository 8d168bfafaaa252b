package lanes

import (
	"sync"

	"github.com/IBM/sarama"
)

// windowOfProcess bounds the bytes of all windows together: a service reads several topics of several partitions each.
const windowOfProcess = 16 << 20

// budget is a number of bytes that several windows share.
type budget struct {
	limit int

	mu    sync.Mutex
	used  int
	freed chan struct{} // closed when bytes were given back; nil while no window waits
}

func newBudget(limit int) *budget { return &budget{limit: limit} }

// take takes n bytes if they are there, or in any case when it must.
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

// wait returns what tells when n bytes may be there, already closed when they are there now.
func (b *budget) wait(n int) <-chan struct{} {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	told := b.freed
	if b.used+n <= b.limit {
		close(b.freed)
		b.freed = nil
	}
	return told
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
