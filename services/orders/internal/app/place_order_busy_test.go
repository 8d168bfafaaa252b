package app_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// standing holds both transactions up, so that what is placed then waits, and returns a channel of what comes of n such orders.
// The held orders are placed again until they are begun: a busy machine may take longer to begin them than they may wait.
func (w *world) standing(ctx context.Context, n int) (outcomes <-chan error, release func()) {
	w.t.Helper()
	hold, release := w.holdOrders("held-1", "held-2")
	errs := make(chan error, n+2)
	place := func(id string) error {
		_, err := w.PlaceOrder(ctx, domain.Placement{OrderID: id, UserID: "u", Lines: []domain.Line{{SKU: "a", Quantity: 1}}}, nil, nil)
		return err
	}
	for i, id := range []string{"held-1", "held-2"} {
		go func() {
			err := place(id)
			for errors.Is(err, app.ErrBusy) && ctx.Err() == nil {
				err = place(id)
			}
			errs <- err
		}()
		hold(i + 1)
	}
	for i := range n {
		go func() { errs <- place(fmt.Sprintf("o-%d", i)) }()
	}
	return errs, release
}

// What has waited for too long is not begun: whoever hears that the service is too busy has no order.
func TestNoOrderIsMadeWhoseClientWasRefused(t *testing.T) {
	t.Parallel()
	const within = 20 * time.Millisecond
	w := setup(t)
	w.product("a", 500, 1000)
	w.App = w.replicaWithin(within).App
	errs, release := w.standing(t.Context(), 20)
	began := time.Now()
	testkit.Eventually(t, func() error {
		if time.Since(began) < 10*within {
			return errors.New("they could still be begun in time")
		}
		return nil
	})
	release()
	busy := 0
	for range 22 {
		if err := <-errs; errors.Is(err, app.ErrBusy) {
			busy++
		} else {
			require.NoError(t, err)
		}
	}
	require.Equal(t, 22-busy, w.count(`SELECT count(*) FROM orders`))
	require.GreaterOrEqual(t, busy, 1)
	_, is := w.Busy()
	require.False(t, is)
}

// A transaction ends before its clients go away: they hear what became of their orders.
func TestATransactionEndsBeforeItsFirstClientGoesAway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 1000)
	inTime := false
	for try := 0; try < 10 && !inTime; try++ { // on a busy machine the answer may be late, although the transaction ended in time
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		errs, release := w.standing(ctx, 0)
		inTime = true
		for range 2 {
			err := <-errs
			inTime = inTime && ctx.Err() == nil
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		release()
		cancel()
	}
	require.True(t, inTime, "the transaction ends before the clients go away")
	require.Zero(t, w.count(`SELECT count(*) FROM orders`))
	_, err := w.PlaceOrder(t.Context(), domain.Placement{OrderID: "o", UserID: "u", Lines: []domain.Line{{SKU: "a", Quantity: 1}}}, nil, nil)
	require.NoError(t, err)
}

// While too many orders wait for their end, HTTP hears at once that the service is too busy, and nothing of it is kept.
func TestAnOrderThatWouldWaitTooLongIsNotTaken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 1000)
	app.Crowded(w.App)
	after, is := w.Busy()
	require.True(t, is)
	require.Positive(t, after)
	_, err := w.PlaceOrder(t.Context(), domain.Placement{OrderID: "o", UserID: "u", Lines: []domain.Line{{SKU: "a", Quantity: 1}}}, nil, nil)
	require.ErrorIs(t, err, app.ErrBusy)
	require.Zero(t, w.count(`SELECT count(*) FROM orders`))
}
