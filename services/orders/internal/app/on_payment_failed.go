package app

import (
	"context"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/orders/internal/domain"
)

// OnPaymentFailed ends an order that was not paid and releases its stock; domain.Order.Fail has its meaning in each status. It
// is held while the order does not exist.
func (a *App) OnPaymentFailed(ctx context.Context, batch []bus.In[messages.PaymentFailed]) []bus.Result {
	return onMessages(ctx, a, batch, nothingElse,
		func(ctx context.Context, w *work, in bus.In[messages.PaymentFailed]) (bus.Result, error) {
			o := w.orders[in.Event.OrderID]
			if o == nil {
				return a.hold(ctx, w, in.Event, in.Record, in.Outside)
			}
			r := a.failed(w, o, in.Event, in.Outside)
			return r, transient(r.Err)
		})
}

func (a *App) failed(w *work, o *domain.Order, e messages.PaymentFailed, outside bool) bus.Result {
	if outside && !o.IsPaidBy(e.UserID, e.Total) {
		return a.ofAnother(o, e)
	}
	effect, err := o.Fail(e, w.stock, w.now)
	return result(o, effect, err, e.Total)
}
