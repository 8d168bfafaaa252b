package lanes

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
)

// Everybody who wants to leave a gate that nobody is in, or that many are in, gets away once.
func TestTheGateIsDrainedWhenTheLastOneLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		require.True(t, g.enter())
		require.True(t, g.enter())
		g.leave()
		var drained sync.WaitGroup
		drained.Go(func() { require.NoError(t, g.drain(t.Context())) })
		synctest.Wait()
		require.True(t, g.isClosed())
		require.False(t, g.enter(), "nobody is admitted once the drain has begun")
		require.Equal(t, 1, g.inside())
		g.leave()
		drained.Wait()

		require.NoError(t, newGate().drain(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		stuck := newGate()
		stuck.enter()
		require.ErrorIs(t, stuck.drain(ctx), context.DeadlineExceeded)
		stuck.leave()
	})
}

// What was handled is in work until its acknowledgement is marked; what failed is not, until it is delivered again.
func TestWhatWasHandledStaysInWorkUntilItIsMarked(t *testing.T) {
	t.Parallel()
	c := newClaims("", newGate(), newFailures())
	msg := message.NewMessage("", nil)
	_, err := c.Admit(func(*message.Message) ([]*message.Message, error) { return nil, nil })(msg)
	require.NoError(t, err)
	require.Equal(t, 1, c.InWork())
	c.Of(msg).settle()
	require.Zero(t, c.InWork())
	_, err = c.Admit(func(*message.Message) ([]*message.Message, error) { return nil, context.DeadlineExceeded })(msg)
	require.Error(t, err)
	require.Zero(t, c.InWork())
}
