package bus

import (
	"fmt"
	"sync"

	"pasdetrois/pkg/messages"
)

// failures remembers which partitions are held up by a transient error just now.
type failures struct {
	mu   sync.Mutex
	held map[claimKey]error
}

func newFailures() *failures { return &failures{held: make(map[claimKey]error)} }

func (f *failures) set(r messages.Record, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[claimKey{r.Topic, r.Partition}] = err
}

func (f *failures) clear(r messages.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.held, claimKey{r.Topic, r.Partition})
}

func (f *failures) check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, err := range f.held {
		return fmt.Errorf("%d partitions are held up, %s/%d by: %w", len(f.held), k.topic, k.partition, err)
	}
	return nil
}
