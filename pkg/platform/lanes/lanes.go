package lanes

import (
	"errors"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

const (
	// lanesPerPartition bounds the records of one partition in work at a time.
	lanesPerPartition = 256
	// queuePerLane bounds the records that wait for one lane. A full queue holds up the partition.
	queuePerLane = 64
	// laneRest is how often lanes without a record are ended. A running lane costs two goroutines and a queue.
	laneRest = 15 * time.Second
)

// windowPerPartition bounds the records taken up behind the oldest unfinished record of a partition. So it bounds what a
// crash redelivers, and the memory that a lane which is held up can cost.
var windowPerPartition = bounds{messages: 4096, bytes: 8 << 20}

// laneOf returns the lane of a record: records of one key share it. The hash differs from the partitioner's (murmur2), else
// the keys of one partition would share few lanes. Records without a key need no order, so their offsets spread them.
func laneOf(m *sarama.ConsumerMessage, lanes int) int {
	if len(m.Key) == 0 {
		return int(uint64(m.Offset) % uint64(lanes))
	}
	h := fnv.New64a()
	_, _ = h.Write(m.Key)
	sum := h.Sum64()
	sum ^= sum >> 33 // the low bits alone differ too little
	return int(sum * 0x9e3779b97f4a7c15 >> 33 % uint64(lanes))
}

// split reads a claim through lanes: consume sees each lane as a claim of its own, with its records one at a time and in
// order. Offsets are marked in the partition's order, so a crash never skips an unfinished record.
//
// It returns when the session has ended and every lane has finished its record in work. The next owner of the partition gets
// the queued records.
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

// splitter is the state of one call of split.
type splitter struct {
	sarama.ConsumerGroupSession
	claim     sarama.ConsumerGroupClaim
	window    *window
	lanes     []*Lane
	consume   func(sarama.ConsumerGroupSession, sarama.ConsumerGroupClaim) error
	running   []*laneRun // by number; nil while the lane rests
	consumers sync.WaitGroup

	mu   sync.Mutex
	errs []error // of consume
}

// laneRun is a lane that is not resting: it has a goroutine and a queue.
type laneRun struct {
	queue chan *sarama.ConsumerMessage
	open  atomic.Int64 // records handed to the lane and not acknowledged
	used  bool         // since endIdle ran last; only the goroutine of distribute uses it
}

// distribute hands each record to its lane's queue until the claim or the session ends; then it closes the queues.
//
//   - The session ended: distribute empties the queues, because the next owner reads these records.
//   - The claim ended alone, because the broker deleted what comes next: the queues may hold the last copies of their
//     records, so the lanes finish them.
//
// Meanwhile it ends lanes that rest. Their next record starts them again.
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

// lane returns the lane with the number, and starts it when it rests.
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

// endIdle ends the lanes that got no record since the last call and have acknowledged all their records. So a lane that
// starts again never runs beside one of its earlier records.
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

// laneClaim is the part of a claim that goes through one lane.
type laneClaim struct {
	sarama.ConsumerGroupClaim
	messages <-chan *sarama.ConsumerMessage
}

func (c laneClaim) Messages() <-chan *sarama.ConsumerMessage { return c.messages }

// laneSession passes a lane's acknowledgements to the window, and marks the offset up to which all records are finished.
// Only then is the record out of work for the drain: leaving the group commits marks, not acknowledgements.
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
