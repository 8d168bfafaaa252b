package lanes

import (
	"fmt"
	"sync"

	"pasdetrois/pkg/messages"
)

// failures holds the lanes that a transient error holds up now.
type failures struct {
	mu   sync.Mutex
	held map[*Lane]heldUp
}

type heldUp struct {
	record messages.Record
	err    error
}

func newFailures() *failures { return &failures{held: make(map[*Lane]heldUp)} }

// set records that err holds up the lane, and reports whether no other lane is held up. An outage holds up many lanes, and
// one line of the log is enough.
func (f *failures) set(cl *Lane, r messages.Record, err error) (only bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[cl] = heldUp{r, err}
	return len(f.held) == 1
}

func (f *failures) clear(cl *Lane) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.held, cl)
}

func (f *failures) check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.held {
		return fmt.Errorf("%d messages are held up, at %s/%d by: %w", len(f.held), h.record.Topic, h.record.Partition, h.err)
	}
	return nil
}
