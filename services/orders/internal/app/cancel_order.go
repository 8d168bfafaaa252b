package app

import (
	"context"
	"errors"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/orders/internal/domain"
)

// CancelOrder cancels an order and returns it: cancelled, or cancelling until payments has answered. A repetition changes
// nothing. It returns ErrNotFound, also for an order that the caller may not change, or domain.ErrNotCancellable together with an order that ended in another way.
//
// The request and the order have a trace each. The step of the order is a span in the order's trace, so the refund follows from
// it; that span and the one of the request are linked with each other.
func (a *App) CancelOrder(ctx context.Context, id string) (domain.Order, error) {
	var o *domain.Order
	var refused error
	var step *tracing.Span
	w, err := a.inWork(ctx, func(ctx context.Context, w *work) error {
		step.End(errUndone) // the transaction may be repeated
		step = nil
		if err := w.lockOrder(ctx, id, auth.OnlyOf(auth.Of(ctx).Writes())); err != nil {
			return err
		}
		if o = w.orders[id]; o == nil {
			return ErrNotFound
		}
		var effect domain.Effect
		if effect, refused = o.Cancel(a.cfg.Policy, w.now); effect == domain.Moved {
			msgs := outputs(o)
			if step = a.cfg.Tracer.Step(ctx, "cancel_order", o.TraceParent); step != nil {
				for i := range msgs {
					msgs[i].TraceParent = step.TraceParent()
				}
			}
			w.outbox(msgs...)
			w.audit("order.cancel", id, map[string]any{"status": o.Status})
		}
		return nil
	})
	step.End(err)
	if err != nil {
		return domain.Order{}, err
	}
	if step == nil { // an earlier request cancelled the order, or it ended in another way
		tracing.Current(ctx).Link(o.TraceParent)
	}
	a.committed(w)
	return snapshot(o), refused
}

// errUndone is the error of a step whose transaction was undone and is repeated.
var errUndone = errors.New("the transaction is repeated")
