package bus

import (
	"context"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
)

type parkerFunc func(ctx context.Context, r messages.Record, reason string) error

func (f parkerFunc) Park(ctx context.Context, r messages.Record, reason, _, _ string) error {
	return f(ctx, r, reason)
}

// Half-parked would be lost or doubled: once a message is found to fail for good, a shutdown does not keep it from being
// parked. It may take a while, but not for ever.
func TestParkingOutlivesAShutdownAndIsBounded(t *testing.T) {
	t.Parallel()
	parked := ""
	c := newTestConsumer(t, "localhost:1")
	c.cfg.Parker = parkerFunc(func(ctx context.Context, _ messages.Record, reason string) error {
		_, bounded := ctx.Deadline()
		require.True(t, bounded)
		parked = reason
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	msg := message.NewMessage("", nil)
	msg.SetContext(ctx)
	_, err := c.parking(func(*message.Message) ([]*message.Message, error) {
		cancel()
		return nil, fault.New("contradicts_state", "no")
	})(msg)
	require.NoError(t, err, "a parked message is acknowledged")
	require.Equal(t, "contradicts_state", parked)
}

// A panic counts for the record that was being handled, delivery after delivery.
func TestExactlyTheThirdPanicParks(t *testing.T) {
	t.Parallel()
	parked := 0
	c := newTestConsumer(t, "localhost:1")
	c.cfg.Parker = parkerFunc(func(context.Context, messages.Record, string) error {
		parked++
		return nil
	})
	deliver := c.parking(recovering(func(*message.Message) ([]*message.Message, error) { panic("again") }))
	for delivery := 1; delivery <= 3; delivery++ {
		_, err := deliver(message.NewMessage("", nil))
		require.Equal(t, delivery < 3, err != nil, "delivery %d: %v", delivery, err)
	}
	require.Equal(t, 1, parked)
}
