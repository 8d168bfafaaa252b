package lanes

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
)

// detours are the partitions that are read batch by batch just now.
type detours struct {
	mu     sync.Mutex
	active map[*passage]error // why it does not get on, nil when it does
}

func newDetours() *detours { return &detours{active: make(map[*passage]error)} }

func (d *detours) begin(p *passage) { d.failing(p, nil) }

func (d *detours) failing(p *passage, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active[p] = err
}

func (d *detours) end(p *passage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.active, p)
}

// check returns why a partition is not read, nil when all are.
func (d *detours) check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p, err := range d.active {
		if err != nil {
			return fmt.Errorf("%s/%d is not read: %w", p.Topic(), p.Partition(), err)
		}
	}
	return nil
}

// remark says which partitions are read batch by batch, "" when none is.
func (d *detours) remark() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for p := range d.active {
		names = append(names, fmt.Sprintf("%s/%d", p.Topic(), p.Partition()))
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "read batch by batch, which is slower, because the Kafka client cannot read a batch in them: " + strings.Join(names, ", ") +
		" (what cannot be read at all is in the dead letters; the next start reads as usual)"
}

// unread holds the messages that stand for a batch which could not be read, until the lanes take them up.
type unread struct {
	mu      sync.Mutex
	batches map[*sarama.ConsumerMessage]unreadBatch
}

type unreadBatch struct {
	first int64
	err   error // permanent
}

func newUnread() *unread { return &unread{batches: make(map[*sarama.ConsumerMessage]unreadBatch)} }

func (u *unread) add(m *sarama.ConsumerMessage, first int64, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.batches[m] = unreadBatch{first, err}
}

// take returns the record that stands for the batch and why it is parked, or false when m is a record. A message of a
// batch has neither key nor value, so a record costs no search.
func (u *unread) take(m *sarama.ConsumerMessage, topicPrefix string) (messages.Record, error, bool) {
	if m.Value != nil || m.Key != nil {
		return messages.Record{}, nil, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	b, ok := u.batches[m]
	delete(u.batches, m)
	r := kafka.FromSarama(m, topicPrefix)
	r.Offset, r.LastOffset = b.first, m.Offset
	return r, b.err, ok
}
