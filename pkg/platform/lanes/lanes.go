package lanes

import (
	"cmp"
	"errors"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

const (
	// lanesPerPartition is how many messages of one partition may be in work at a time.
	lanesPerPartition = 256
	// queuePerLane is how many messages may wait for one lane before they hold up those behind them.
	queuePerLane = 64
	// laneRest is how often lanes without a message are ended. A lane costs two goroutines' stacks and a queue while it runs.
	laneRest = 15 * time.Second
)

// windowPerPartition bounds what is taken up of one partition behind its oldest unfinished message: how much a crash
// repeats, and how much memory a lane that is held up can cost.
var windowPerPartition = bounds{messages: 4096, bytes: 8 << 20}

// laneOf returns the lane of a record: records of one key share it. The hash is another one than the partitioner's (murmur2),
// else the keys of one partition would fall on few lanes. A record without key has nothing to stay behind.
func laneOf(m *sarama.ConsumerMessage, lanes int) int {
	if len(m.Key) == 0 {
		return int(uint64(m.Offset) % uint64(lanes))
	}
	h := fnv.New64a()
	_, _ = h.Write(m.Key)
	sum := h.Sum64()
	sum ^= sum >> 33 // the low bits alone, which are what is left of a power of two, differ too little
	return int(sum * 0x9e3779b97f4a7c15 >> 33 % uint64(lanes))
}

// split consumes a partition's claim through lanes: each is a claim of its own for consume, with its own messages one at a
// time and in order. Offsets are marked in the partition's order, so that a crash never skips an unfinished message.
//
// It returns when the session has ended and every lane has finished what it had in work; what was queued behind is left for
// whoever reads the partition next.
func split(session sarama.ConsumerGroupSession, sc sarama.ConsumerGroupClaim, size bounds, lanes []*Lane,
	consume func(sarama.ConsumerGroupSession, sarama.ConsumerGroupClaim) error,
) error {
	s := &splitter{ConsumerGroupSession: session, claim: sc, window: newWindow(size), lanes: lanes, consume: consume,
		running: make([]*laneRun, len(lanes))}
	s.distribute()
	s.consumers.Wait()
	s.window.giveBack()
	return errors.Join(s.errs...)
}

// splitter is the work of split.
type splitter struct {
	sarama.ConsumerGroupSession
	claim     sarama.ConsumerGroupClaim
	window    *window
	lanes     []*Lane
	consume   func(sarama.ConsumerGroupSession, sarama.ConsumerGroupClaim) error
	running   []*laneRun // by number; nil while it has nothing to do
	consumers sync.WaitGroup

	mu   sync.Mutex
	errs []error // of consume
}

// lane is one lane that runs.
type laneRun struct {
	queue chan *sarama.ConsumerMessage
	open  atomic.Int64 // messages that were handed to it and are not acknowledged
	used  bool         // since lanes were looked through last; only distribute knows it
}

// distribute hands each message to the queue of its lane until the claim or the session ends; then it closes the queues.
// Of a session that has ended it empties them: what they hold is for the next owner. A claim that ended by itself, because
// the broker deleted what comes next, may hold the last copies there are: its lanes finish them. Meanwhile distribute ends
// the lanes that have rested for a while: their next message starts them again.
func (s *splitter) distribute() {
	defer func() {
		for _, l := range s.running {
			if l == nil {
				continue
			}
			for len(l.queue) > 0 && s.Context().Err() != nil {
				select {
				case <-l.queue:
				default:
				}
			}
			close(l.queue)
		}
	}()
	rest := time.NewTicker(laneRest)
	defer rest.Stop()
	ended := s.Context().Done()
	passage, _ := s.claim.(*passage)
	read := s.claim.Messages()
	for {
		select {
		case m, ok := <-read:
			if !ok && passage != nil {
				if read = passage.onward(); read != nil {
					continue
				}
			}
			if !ok || !s.window.begin(m, ended) {
				return
			}
			if passage != nil {
				passage.took(m)
			}
			l := s.lane(laneOf(m, len(s.lanes)))
			l.open.Add(1)
			select {
			case l.queue <- m:
			case <-ended:
				return
			}
		case <-rest.C:
			s.endIdle()
		case <-ended:
			return
		}
	}
}

// lane returns the lane with the number, which is started when it does not run.
func (s *splitter) lane(number int) *laneRun {
	l := s.running[number]
	if l == nil {
		l = &laneRun{queue: make(chan *sarama.ConsumerMessage, queuePerLane)}
		s.running[number] = l
		s.consumers.Go(func() {
			session := laneSession{s.ConsumerGroupSession, s.window, s.lanes[number], l}
			if err := s.consume(session, laneClaim{s.claim, l.queue}); err != nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.errs = append(s.errs, err)
			}
		})
	}
	l.used = true
	return l
}

// endIdle ends the lanes that got no message since the last call and have acknowledged all that they got. So a lane that is
// started again never runs beside a message of its former life.
func (s *splitter) endIdle() {
	for number, l := range s.running {
		switch {
		case l == nil:
		case l.used || l.open.Load() > 0:
			l.used = false
		default:
			close(l.queue)
			s.running[number] = nil
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
	claim  *Lane
	lane   *laneRun
}

func (s laneSession) MarkMessage(m *sarama.ConsumerMessage, metadata string) {
	if last := s.window.finish(m); last != nil {
		s.ConsumerGroupSession.MarkMessage(last, metadata)
	}
	s.claim.settle()
	s.lane.open.Add(-1)
}

// bounds are how much a window holds at most. The process's bytes are shared with other windows.
type bounds struct {
	messages, bytes int
	process         *budget // nil = no bound
}

// window is what was taken up of a partition and may not be marked yet. Its offsets grow, with gaps: compaction and
// transactions leave some out.
type window struct {
	bounds
	freed chan struct{} // is told, at least once, when something was marked

	mu    sync.Mutex
	slots []slot // in the order of offsets; the first one is unfinished
	bytes int    // of all slots
}

type slot struct {
	message  *sarama.ConsumerMessage
	finished bool
}

func newWindow(size bounds) *window { return &window{bounds: size, freed: make(chan struct{}, 1)} }

// begin takes up the next message of the partition once there is room for it, and reports false when that ended before.
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

// take takes m up unless the window is full, or the process's windows are. A message of any size fits into an empty
// window, so each partition gets on.
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

// fits reports whether only the other windows of the process keep m out.
func (w *window) fits(m *sarama.ConsumerMessage) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.room(sizeOf(m))
}

func (w *window) room(size int) bool {
	return len(w.slots) == 0 || len(w.slots) < w.messages && w.bytes+size <= w.bounds.bytes
}

// giveBack gives the process back what the window still holds. Call it when nothing of it is in work any more.
func (w *window) giveBack() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process.give(w.bytes)
	w.slots, w.bytes = nil, 0
}

// finish notes that m is done and returns the newest message up to which everything is, or nil while m waits for one
// before it.
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
		w.slots[n] = slot{} // not kept in memory by what follows
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
