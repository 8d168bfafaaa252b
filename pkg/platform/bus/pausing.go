package bus

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The states of a Consumer.
const (
	StateStarting  = "starting"  // waits for Kafka and the topics, or joins its groups
	StateConsuming = "consuming" // is a member of its groups
	StatePausing   = "pausing"   // finishes the records in work, then leaves its groups
	StatePaused    = "paused"    // is a member of no group
)

// Status is the state of a Consumer at one moment.
type Status struct {
	State       string
	PausedUntil time.Time // when it resumes by itself; zero without a pause
	InWork      int       // messages
	Groups      []Group
}

// Group is one consumer group of the service, with the topic that it reads, both as the brokers call them.
type Group struct {
	Group, KafkaTopic string
	Topic             string // as the contract calls it
}

// pauses holds the state of a Consumer and the end of its pause. Every pause ends by itself, because the caller may be gone.
// Pause and Resume only set the end, and takeTurns follows:
//
//	starting --groups joined--> consuming --pause--> pausing --groups left--> paused
//	   ^  `------------------pause before that---------^                        |
//	   +------------------- resume, or the pause has ended ---------------------+
type pauses struct {
	mu      sync.Mutex
	until   time.Time // in the past without a pause
	state   string
	changed chan struct{} // closed, and replaced, when until changes
}

func newPauses() *pauses { return &pauses{state: StateStarting, changed: make(chan struct{})} }

// Pause makes the consumer finish the records in work and leave its groups, until the given time, Resume, or a later Pause.
// It returns at once; Status has the progress.
func (c *Consumer) Pause(until time.Time) { c.pauses.set(until) }

// Resume ends a pause. Without one it does nothing.
func (c *Consumer) Resume() { c.pauses.set(time.Time{}) }

// Status returns the consumer's state just now. State and InWork are read one after the other, so they may differ by a moment.
func (c *Consumer) Status() Status {
	s := Status{InWork: c.InWork()}
	s.State, s.PausedUntil = c.pauses.read()
	for _, topic := range c.topics {
		s.Groups = append(s.Groups, Group{Group: c.cfg.Group(c.cfg.Service, topic), KafkaTopic: c.cfg.TopicPrefix + topic, Topic: topic})
	}
	return s
}

func (p *pauses) set(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = until
	close(p.changed)
	p.changed = make(chan struct{})
}

// read returns the state, and the end of the pause, zero once that is over.
func (p *pauses) read() (state string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().After(p.until) {
		return p.state, time.Time{}
	}
	return p.state, p.until
}

func (p *pauses) become(state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = state
}

// consuming notes that the groups are joined, unless a pause was requested meanwhile.
func (p *pauses) consuming() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == StateStarting {
		p.state = StateConsuming
	}
}

// paused reports whether a pause is the reason for not consuming.
func (p *pauses) paused() bool {
	state, _ := p.read()
	return state == StatePaused || state == StatePausing
}

// wanted returns the rest of the pause, 0 or less without one, and a channel that is closed when the pause changes. Both come
// from one lock, so no change between them is missed.
func (p *pauses) wanted() (left time.Duration, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.until), p.changed
}

// untilWanted returns a context that ends with ctx, or when a pause begins. The caller must call the function, which ends the
// goroutine.
func (p *pauses) untilWanted(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			left, changed := p.wanted()
			if left > 0 {
				p.become(StatePausing)
				cancel()
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, cancel
}

// untilOver waits until the pause is over or resumed, and reports whether ctx is still alive then.
func (p *pauses) untilOver(ctx context.Context) bool {
	for {
		left, changed := p.wanted()
		if left <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
}

// takeTurns consumes until ctx ends, except during a pause. Each turn joins the groups anew. An error of a turn ends it, unless
// a pause interrupted the turn: joining that was cut short returns an error too.
func (c *Consumer) takeTurns(ctx context.Context) error {
	for {
		if left, _ := c.pauses.wanted(); left > 0 {
			c.pauses.become(StatePaused)
			c.log.Info("paused: no record is consumed until a resume, or until the pause ends by itself")
			if !c.pauses.untilOver(ctx) {
				return nil
			}
			c.log.Info("resumed")
		}
		c.pauses.become(StateStarting)
		turn, end := c.pauses.untilWanted(ctx)
		err := c.consume(turn)
		paused := turn.Err() != nil
		end()
		if ctx.Err() != nil || !paused {
			return err
		}
		if err != nil {
			c.log.Warn("paused before consuming had begun", "err", err)
		}
		c.claims.Open()
	}
}

// pausedGauge is 1 while a pause keeps the consumer out of its groups.
func pausedGauge(p *pauses) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pasdetrois_consumer_paused",
		Help: "1 while the service's consumers are paused by an operator, else 0.",
	}, func() float64 {
		if p.paused() {
			return 1
		}
		return 0
	})
}
