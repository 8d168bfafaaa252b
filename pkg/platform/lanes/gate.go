package lanes

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// gate admits records until the drain begins, and counts those in work.
type gate struct {
	mu     sync.Mutex
	closed bool
	in     int
	empty  chan struct{} // closed when the gate is closed and no record is in work
}

func newGate() *gate { return &gate{empty: make(chan struct{})} }

// enter admits one record, or returns false when the drain has begun.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.in++
	return true
}

// leave undoes one enter.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in--
	if g.closed && g.in == 0 {
		close(g.empty)
	}
}

// inside returns how many records are in work.
func (g *gate) inside() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.in
}

// isClosed reports whether the drain has begun.
func (g *gate) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// open undoes drain.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.empty = false, make(chan struct{})
}

// drain closes the gate and waits until no record is in work. It returns an error when ctx ends first. Call it once before
// open.
func (g *gate) drain(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	if g.in == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Admit is the outermost middleware of a router: it admits records until the drain begins. After that a record waits,
// untouched, until the router closes; it is redelivered to the partition's next owner.
//
// A handled record stays in work until laneSession has marked it. A failed one leaves, and enters again with its redelivery.
func (c *Claims) Admit(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		growStack(0)
		cl := c.Of(msg)
		cl.remember(msg)
		_, _, ok := cl.admit()
		if !ok {
			<-msg.Context().Done()
			return nil, msg.Context().Err()
		}
		out, err := next(msg)
		if cl.Lost() {
			// Another member reads this record by now. Acknowledging it lets the claim end: a lost session marks nothing.
			cl.settle()
			return out, nil
		}
		if err != nil {
			cl.settle()
		}
		return out, err
	}
}
