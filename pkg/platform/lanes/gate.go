package lanes

import (
	"context"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// gate admits messages until it is drained, and knows how many are in work.
type gate struct {
	mu     sync.Mutex
	closed bool
	in     int
	empty  chan struct{} // closed when the gate is closed and nobody is in
}

func newGate() *gate { return &gate{empty: make(chan struct{})} }

// enter admits one message, or returns false when draining has begun.
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

// inside returns how many are in.
func (g *gate) inside() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.in
}

// isClosed reports whether draining has begun.
func (g *gate) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

// open undoes drain: the gate admits messages again.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.empty = false, make(chan struct{})
}

// drain closes the gate and waits until nobody is in or ctx ends, which is an error. Call it once before open.
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

// gated admits messages until the drain begins. After that a message waits, untouched, for the router to close.
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
			// The partition belongs to somebody else, who will read this message. Ending it here frees the claim;
			// a lost session marks nothing.
			cl.settle()
			return out, nil
		}
		if err != nil {
			cl.settle()
		}
		return out, err
	}
}
