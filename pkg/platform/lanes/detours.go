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

// detours are the diverted partitions: passages read them batch by batch.
type detours struct {
	mu     sync.Mutex
	active map[*passage]error // why the passage cannot read, nil when it can
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

// check returns why a diverted partition cannot be read, nil when all can.
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

// remark names the diverted partitions, "" when there are none.
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
		" (a batch that cannot be read at all is a dead letter; after a restart the client reads again)"
}

// unread holds the messages that stand for batches which could not be read, until Unmarshal takes them.
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

// take returns the record that stands for a batch, and the reason to park it; or false when m is a record. A message that
// stands for a batch has neither key nor value, so a record costs no search.
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
