package app

import (
	"context"

	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/orders/internal/domain"
)

// CancelOrder calls an order off and returns it as it then is: cancelled, or cancelling until payments has answered.
// Cancelling it again changes nothing. It returns ErrNotFound, or domain.ErrNotCancellable together with the order when
// it ended in another way.
func (a *App) CancelOrder(ctx context.Context, id string) (domain.Order, error) {
	var o *domain.Order
	var refused error
	w, err := a.inWork(ctx, func(ctx context.Context, w *work) error {
		if err := w.lockOrders(ctx, []string{id}); err != nil {
			return err
		}
		if o = w.orders[id]; o == nil {
			return ErrNotFound
		}
		var effect domain.Effect
		if effect, refused = o.Cancel(a.cfg.Policy, w.now); effect == domain.Moved {
			w.outbox(outputs(o)...)
		}
		return nil
	})
	if err != nil {
		return domain.Order{}, err
	}
	tracing.Current(ctx).Link(o.TraceParent) // what comes of it is in the order's trace
	a.committed(w)
	return snapshot(o), refused
}
