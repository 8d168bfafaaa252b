package app

import (
	"context"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/orders/internal/domain"
)

// OnPaymentRefunded ends an order that was being cancelled and gives its stock back; domain.Order.Refund says what it
// means in every status. Refunds are asked for by us, so one for an order that nobody knows is parked, unless its payment was
// asked for from outside: then it is kept aside, for a pending order too, so that the order is not confirmed on money that went
// back.
func (a *App) OnPaymentRefunded(ctx context.Context, batch []bus.In[messages.PaymentRefunded]) []bus.Result {
	return onMessages(ctx, a, batch, nothingElse,
		func(ctx context.Context, w *work, in bus.In[messages.PaymentRefunded]) (bus.Result, error) {
			e := in.Event
			o := w.orders[e.OrderID]
			switch {
			case o == nil && !in.Outside:
				return bus.Result{Err: unknownOrder(e.OrderID)}, nil
			case o == nil, waits(o, in.Outside, e.UserID, o.Refunded(e.Amount)):
				return a.hold(ctx, w, e, in.Record, true)
			}
			r := a.refunded(w, o, e, in.Outside)
			return r, transient(r.Err)
		})
}

func (a *App) refunded(w *work, o *domain.Order, e messages.PaymentRefunded, outside bool) bus.Result {
	if outside && !o.IsPaidBy(e.UserID, o.Refunded(e.Amount)) {
		return a.ofAnother(o, e)
	}
	effect, err := o.Refund(e, w.stock, w.now)
	return result(o, effect, err, e.Amount)
}
