// Package batch handles calls that wait together as one batch.
//
// There is no timer. A call that comes while nothing runs is handled at once, alone. Batches form because calls arrive while
// the last batch is being handled: they grow with the load, and a lone call pays nothing for them. A call goes this way:
//
//	refused (ErrFull) <-- Do --> waiting --> begun --> answered
//	                                |          `-- the batch failed --> begun again, alone --> answered
//	                                `-- its context ended, or it waited too long --> not begun (ErrNotBegun, ErrFull)
//
// A batch that fails is handled again call by call, so that one bad call fails alone. A call that was begun goes on when its
// caller leaves: the caller does not learn the answer.
package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Config configures a Batcher of calls that take In and give Out.
type Config[In, Out any] struct {
	// Handle answers each call of a batch, in the same order. Its context is the batch's own: it ends after Timeout, or
	// when the Batcher is closed, but not when a caller leaves.
	Handle func(ctx context.Context, batch []In) []Out
	// Failed reports whether another call of the batch may be the cause of an answer. Such calls are handled again, each
	// alone. nil = never.
	Failed  func(Out) bool
	Max     int            // calls in one batch; 0 = 256
	Workers int            // batches at a time; 0 = 1
	Waiting int            // calls that may wait for their batch; 0 = any number
	Within  time.Duration  // how long a call may wait for its batch before it is refused; 0 = any time
	Timeout time.Duration  // of one batch; 0 = 30 s
	Grace   time.Duration  // how long Do waits for the answer of a begun call after the caller's deadline; 0 = not at all
	Observe func(size int) // gets the size of each batch; may be nil
}

// ErrFull is returned by Do for a call that was not begun, because too many calls waited before it.
var ErrFull = errors.New("too many calls are waiting")

// ErrNotBegun is wrapped by Do's error when the caller's context ended before the call was begun. The call is dropped.
var ErrNotBegun = errors.New("the call was not begun")

// Batcher handles calls in batches. Safe for concurrent use.
type Batcher[In, Out any] struct {
	cfg    Config[In, Out]
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	queue   []*call[In, Out]
	running int           // workers
	full    time.Duration // estimate for a batch of Max calls; 0 = none yet
}

type call[In, Out any] struct {
	ctx   context.Context
	in    In
	alone bool
	begun bool      // it was taken into a batch; guarded by Batcher.mu, as gone is
	gone  bool      // its caller left
	since time.Time // when it began to wait, if waiting is bounded
	out   chan answer[Out]
}

type answer[Out any] struct {
	out      Out
	panicked *Panic
	late     bool // the call waited too long and was not begun
}

// Panic is what Do panics with when Handle panicked on the call alone.
type Panic struct {
	Value any
	Stack string // of the goroutine that ran Handle
}

func (p *Panic) Error() string { return fmt.Sprint(p.Value) }

// New makes a Batcher. Close it after the last call.
func New[In, Out any](cfg Config[In, Out]) *Batcher[In, Out] {
	cfg.Max, cfg.Workers, cfg.Timeout = cmp.Or(cfg.Max, 256), cmp.Or(cfg.Workers, 1), cmp.Or(cfg.Timeout, 30*time.Second)
	if cfg.Failed == nil {
		cfg.Failed = func(Out) bool { return false }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(int) {}
	}
	c := &Batcher[In, Out]{cfg: cfg}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Do adds in to the next batch and waits for its answer. When ctx ends first, Do returns ctx's error. It wraps ErrNotBegun if
// the call was not begun: the call is then dropped. A call that was begun goes on; after a deadline Do waits for its answer
// for Config.Grace. ErrFull means that the call was refused.
func (c *Batcher[In, Out]) Do(ctx context.Context, in In) (Out, error) { return c.do(ctx, in, false) }

// DoAlone is Do in a batch of one, in its turn: for a call that failed before.
func (c *Batcher[In, Out]) DoAlone(ctx context.Context, in In) (Out, error) {
	return c.do(ctx, in, true)
}

func (c *Batcher[In, Out]) do(ctx context.Context, in In, alone bool) (Out, error) {
	l := &call[In, Out]{ctx: ctx, in: in, alone: alone, out: make(chan answer[Out], 1)}
	if !c.enqueue(l) {
		var none Out
		return none, ErrFull
	}
	select {
	case a := <-l.out:
		return a.result()
	case <-ctx.Done():
		return c.expired(l)
	}
}

// expired returns the result of Do once the context of the call has ended.
func (c *Batcher[In, Out]) expired(l *call[In, Out]) (none Out, err error) {
	c.mu.Lock()
	begun := l.begun
	l.gone = true
	c.mu.Unlock()
	if !begun {
		return none, fmt.Errorf("%w: %w", ErrNotBegun, l.ctx.Err())
	}
	if c.cfg.Grace > 0 && errors.Is(l.ctx.Err(), context.DeadlineExceeded) {
		timer := time.NewTimer(c.cfg.Grace)
		defer timer.Stop()
		select {
		case a := <-l.out:
			return a.result()
		case <-timer.C:
		}
	}
	return none, l.ctx.Err()
}

func (a answer[Out]) result() (Out, error) {
	if a.panicked != nil {
		panic(a.panicked)
	}
	if a.late {
		return a.out, ErrFull
	}
	return a.out, nil
}

func (c *Batcher[In, Out]) enqueue(l *call[In, Out]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg.Waiting > 0 && len(c.queue) >= c.cfg.Waiting {
		return false
	}
	if c.cfg.Within > 0 {
		if _, busy := c.busy(); busy {
			return false
		}
		l.since = time.Now()
	}
	c.queue = append(c.queue, l)
	if c.running < c.cfg.Workers {
		c.running++
		go c.run()
	}
	return true
}

// Close ends the contexts of the batches that are being handled.
func (c *Batcher[In, Out]) Close() { c.cancel() }

// run handles batch after batch until no call waits. It yields once before the first, so that goroutines that are ready to
// call can join the batch.
func (c *Batcher[In, Out]) run() {
	runtime.Gosched()
	for batch := c.take(); len(batch) > 0; batch = c.take() {
		c.handleAll(batch)
	}
}

// take takes the calls that wait, up to one that must be alone, and drops those whose callers left. It ends the run when no
// call is left.
func (c *Batcher[In, Out]) take() []*call[In, Out] {
	c.mu.Lock()
	defer c.mu.Unlock()
	var batch []*call[In, Out]
	taken, size := 0, c.size()
	var now time.Time
	if c.cfg.Within > 0 {
		now = time.Now()
	}
	for _, l := range c.queue {
		if len(batch) == size || (l.alone && len(batch) > 0) {
			break
		}
		taken++
		if l.gone || l.ctx.Err() != nil {
			continue
		}
		if c.cfg.Within > 0 && now.Sub(l.since) > c.cfg.Within {
			l.out <- answer[Out]{late: true}
			continue
		}
		l.begun = true
		batch = append(batch, l)
		if l.alone {
			break
		}
	}
	clear(c.queue[:taken]) // else the rest of the array keeps these calls in memory
	c.queue = c.queue[taken:]
	if len(c.queue) == 0 {
		c.queue = nil
	}
	if len(batch) == 0 {
		c.running--
	}
	return batch
}

func (c *Batcher[In, Out]) handleAll(batch []*call[In, Out]) {
	outs, panicked := c.handle(batch)
	for i, l := range batch {
		switch {
		case panicked == nil && !(len(batch) > 1 && c.cfg.Failed(outs[i])):
			l.out <- answer[Out]{out: outs[i]}
		case len(batch) == 1:
			l.out <- answer[Out]{panicked: panicked}
		case l.ctx.Err() == nil:
			c.handleAll([]*call[In, Out]{l})
		case panicked == nil: // too late to handle it again
			l.out <- answer[Out]{out: outs[i]}
		}
	}
}

// handle runs one batch. A panic, or another number of answers than calls, is returned as a Panic.
func (c *Batcher[In, Out]) handle(batch []*call[In, Out]) (outs []Out, panicked *Panic) {
	defer func() {
		if v := recover(); v != nil {
			panicked = &Panic{Value: v, Stack: string(debug.Stack())}
		}
	}()
	c.cfg.Observe(len(batch))
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.Timeout)
	defer cancel()
	ins := make([]In, len(batch))
	for i, l := range batch {
		ins[i] = l.in
	}
	began := time.Now()
	outs = c.cfg.Handle(ctx, ins)
	c.observe(len(ins), time.Since(began))
	if len(outs) != len(batch) {
		panic(fmt.Sprintf("%d calls were answered with %d answers", len(batch), len(outs)))
	}
	return outs, nil
}
