package app_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// watched is what a waiter got.
type watched struct {
	order domain.Order
	err   error
}

func later(f func() (domain.Order, error)) <-chan watched {
	ch := make(chan watched, 1)
	go func() {
		o, err := f()
		ch <- watched{o, err}
	}()
	return ch
}

// waiting waits until so many wait for the order.
func (w *world) waiting(orderID string, n int) {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		if got := w.Waiting(orderID); got != n {
			return fmt.Errorf("%d wait", got)
		}
		return nil
	})
}

func (w *world) got(ch <-chan watched) domain.Order {
	w.t.Helper()
	select {
	case got := <-ch:
		require.NoError(w.t, got.err)
		return got.order
	case <-time.After(20 * time.Second):
		require.Fail(w.t, "nobody told the waiter")
		return domain.Order{}
	}
}

func TestWatchReturnsAtOnceWhatIsNewer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	deliver(w, w.OnOrderPlaced, plain())
	o, err := w.Watch(t.Context(), "o", 1)
	require.NoError(t, err)
	require.Equal(t, w.order("o"), o)
	_, err = w.Watch(t.Context(), "unheard of", 0)
	require.ErrorIs(t, err, app.ErrNotFound)
}

func TestWaitSettledHearsOfCommitsOfThisProcess(t *testing.T) {
	t.Parallel()
	w := setup(t) // nobody polls
	deliver(w, w.OnOrderPlaced, plain())
	ch := later(func() (domain.Order, error) { return w.WaitSettled(t.Context(), domain.Order{ID: "o"}), nil })
	next := later(func() (domain.Order, error) { return w.Watch(t.Context(), "o", 2) })
	w.waiting("o", 2)
	deliver(w, w.OnPaymentCaptured, captured())
	require.Equal(t, w.order("o"), w.got(ch))
	require.EqualValues(t, 3, w.got(next).Version)
}

func TestWaitSettledHearsOfCommitsOfOthers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 10)
	ctx, cancel := context.WithCancel(t.Context())
	polling := make(chan error, 1)
	go func() { polling <- w.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-polling)
	}()
	other := w.replica()
	for _, id := range []string{"first", "second"} { // waiters come, go and come again
		placed, paid := of("a", 2), captured()
		placed.OrderID, paid.OrderID = id, id
		deliver(other, other.OnOrderPlaced, placed)
		ch := later(func() (domain.Order, error) { return w.WaitSettled(t.Context(), domain.Order{ID: id}), nil })
		w.waiting(id, 1)
		deliver(other, other.OnPaymentCaptured, paid)
		o := w.got(ch)
		w.waiting(id, 0)
		require.Equal(t, w.order(id), o)
		require.Len(t, o.Lines, 1)
	}
}

func TestWaitSettledGivesTheOrderAsItIsWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	deliver(w, w.OnOrderPlaced, plain())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	known := w.order("o")
	require.Equal(t, known, w.WaitSettled(ctx, known))
	_, err := w.Watch(ctx, "o", 2)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// hanging is a store whose reads of one order do not end by themselves.
type hanging struct{ app.Store }

func (hanging) Order(ctx context.Context, _ string, _ *string) (domain.Order, error) {
	<-ctx.Done()
	return domain.Order{}, ctx.Err()
}

func TestWaitSettledNeedsNoRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	deliver(w, w.OnOrderPlaced, plain())
	known := w.order("o")
	app.Configure(w.App, func(c *app.Config) { c.Store = hanging{c.Store} })

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.Equal(t, known, w.WaitSettled(short, known))

	ch := later(func() (domain.Order, error) { return w.WaitSettled(t.Context(), known), nil })
	w.waiting("o", 1)
	deliver(w, w.OnPaymentCaptured, captured())
	require.Equal(t, domain.Confirmed, w.got(ch).Status)
}
