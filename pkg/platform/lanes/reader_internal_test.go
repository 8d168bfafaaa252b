package lanes

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
)

// A router that could not subscribe once cannot be started again.
func TestSubscribingIsTriedUntilItWorksOrNobodyWantsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries, want := 0, make(chan *message.Message)
		failing := subscribing(func() (<-chan *message.Message, error) {
			if tries++; tries < 4 {
				return nil, errors.New("kafka away")
			}
			return want, nil
		})
		begin := time.Now()
		got, err := patient{Subscriber: failing, stop: t.Context(), log: slog.New(slog.DiscardHandler)}.Subscribe(t.Context(), "orders")
		require.NoError(t, err)
		require.Equal(t, (<-chan *message.Message)(want), got)
		require.Equal(t, 4, tries)
		require.Equal(t, 7*time.Second, time.Since(begin), "1, 2 and 4 s apart")

		tries = -1 << 30
		stop, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		got, err = patient{Subscriber: failing, stop: stop, log: slog.New(slog.DiscardHandler)}.Subscribe(t.Context(), "orders")
		require.NoError(t, err)
		_, open := <-got
		require.False(t, open, "nobody wants messages any more, so there are none")
	})
}

// subscribing is a Subscriber that has nothing to close.
type subscribing func() (<-chan *message.Message, error)

func (f subscribing) Subscribe(context.Context, string) (<-chan *message.Message, error) {
	return f()
}

func (f subscribing) Close() error { return nil }
