package app

import (
	"context"

	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/orders/internal/domain"
)

// CancelOrder cancels an order and returns it: cancelled, or cancelling until payments has answered. A repetition changes
// nothing. It returns ErrNotFound, or domain.ErrNotCancellable together with an order that ended in another way.
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
	tracing.Current(ctx).Link(o.TraceParent) // the next steps are in the order's trace
	a.committed(w)
	return snapshot(o), refused
}
