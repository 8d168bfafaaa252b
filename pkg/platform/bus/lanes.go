package bus

import (
	"errors"
	"hash/fnv"
	"slices"
	"sync"

	"github.com/IBM/sarama"
)

const (
	// lanesPerPartition is how many messages of one partition may be in work at a time.
	lanesPerPartition = 64
	// windowPerPartition bounds what is taken up of one partition behind its oldest unfinished message: how much a crash
	// repeats, and how much memory a lane that is held up can cost.
	windowPerPartition = 1024
)

// laneOf returns the lane of a record: records of one key share it. The hash is another one than the partitioner's (murmur2),
// else the keys of one partition would fall on few lanes. A record without key has nothing to stay behind.
func laneOf(m *sarama.ConsumerMessage, lanes int) int {
	if len(m.Key) == 0 {
		return int(uint64(m.Offset) % uint64(lanes))
	}
	h := fnv.New64a()
	_, _ = h.Write(m.Key)
	return int(h.Sum64() % uint64(lanes))
}

// split consumes a partition's claim through lanes: each is a claim of its own for consume, with its own messages one at a
// time and in order. Offsets are marked in the partition's order, so that a crash never skips an unfinished message.
//
// It returns when the session has ended and every lane has finished what it had in work; what was queued behind is left for
// whoever reads the partition next.
func split(session sarama.ConsumerGroupSession, sc sarama.ConsumerGroupClaim, size int, lanes []*claim,
	consume func(sarama.ConsumerGroupSession, sarama.ConsumerGroupClaim) error,
) error {
	w := newWindow(size)
	queues := make([]chan *sarama.ConsumerMessage, len(lanes))
	errs := make([]error, len(lanes))
	var consumers sync.WaitGroup
	for i, cl := range lanes {
		queues[i] = make(chan *sarama.ConsumerMessage, size) // has room for all that the window lets in
		consumers.Go(func() {
			errs[i] = consume(laneSession{session, w, cl}, laneClaim{sc, queues[i]})
		})
	}
	distribute(session, sc, w, queues)
	consumers.Wait()
	return errors.Join(errs...)
}

// distribute hands each message to the queue of its lane until the claim or the session ends; then it empties the queues
// and closes them.
func distribute(session sarama.ConsumerGroupSession, sc sarama.ConsumerGroupClaim, w *window, queues []chan *sarama.ConsumerMessage) {
	defer func() {
		for _, q := range queues {
			for len(q) > 0 {
				select {
				case <-q:
				default:
				}
			}
			close(q)
		}
	}()
	ended := session.Context().Done()
	for {
		select {
		case m, ok := <-sc.Messages():
			if !ok {
				return
			}
			select {
			case w.room <- struct{}{}:
			case <-ended:
				return
			}
			w.begin(m)
			queues[laneOf(m, len(queues))] <- m
		case <-ended:
			return
		}
	}
}

// laneClaim is the part of a partition's claim that goes through one lane.
type laneClaim struct {
	sarama.ConsumerGroupClaim
	messages <-chan *sarama.ConsumerMessage
}

func (c laneClaim) Messages() <-chan *sarama.ConsumerMessage { return c.messages }

// laneSession marks what a lane acknowledges as far as everything before it is finished too, and tells the claim when that
// is done: only then is the message done for the drain.
type laneSession struct {
	sarama.ConsumerGroupSession
	window *window
	claim  *claim
}

func (s laneSession) MarkMessage(m *sarama.ConsumerMessage, metadata string) {
	if last := s.window.finish(m); last != nil {
		s.ConsumerGroupSession.MarkMessage(last, metadata)
	}
	s.claim.settle()
}

// window is what was taken up of a partition and may not be marked yet. Its offsets grow, with gaps: compaction and
// transactions leave some out.
type window struct {
	room chan struct{} // a slot for each message from begin until it is marked

	mu    sync.Mutex
	slots []slot // in the order of offsets; the first one is unfinished
}

type slot struct {
	message  *sarama.ConsumerMessage
	finished bool
}

func newWindow(size int) *window { return &window{room: make(chan struct{}, size)} }

// begin takes up the next message of the partition. There is room for it: the caller has put it into room.
func (w *window) begin(m *sarama.ConsumerMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slots = append(w.slots, slot{message: m})
}

// finish notes that m is done and returns the newest message up to which everything is, or nil while m waits for one
// before it.
func (w *window) finish(m *sarama.ConsumerMessage) (last *sarama.ConsumerMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, ok := slices.BinarySearchFunc(w.slots, m.Offset, func(s slot, offset int64) int { return int(s.message.Offset - offset) })
	if !ok {
		return nil
	}
	w.slots[i].finished = true
	n := 0
	for n < len(w.slots) && w.slots[n].finished {
		last = w.slots[n].message
		w.slots[n] = slot{} // not kept in memory by what follows
		<-w.room
		n++
	}
	w.slots = w.slots[n:]
	return last
}
