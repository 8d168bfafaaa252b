package app

import (
	"context"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/orders/internal/domain"
)

// OnPaymentRefunded ends an order that was being cancelled and releases its stock; domain.Order.Refund has its meaning in each
// status. It also ends an order whose money is gone without a request of this service. This service requests refunds, so a refund
// of an unknown order is parked. If its payment was requested from outside it is held instead, also for a pending order, so that
// the order is not confirmed on money that was given back.
func (a *App) OnPaymentRefunded(ctx context.Context, batch []bus.In[messages.PaymentRefunded]) []bus.Result {
	return onMessages(ctx, a, batch, soldLines,
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

// soldLines returns the lines of confirmed orders, whose pieces a refund returns. Those of open orders are read anyway.
func soldLines(w *work) (lines []domain.Line, heldFor []string) {
	for _, o := range w.orders {
		if o.Status == domain.Confirmed {
			lines = append(lines, o.Lines...)
		}
	}
	return lines, nil
}

func (a *App) refunded(w *work, o *domain.Order, e messages.PaymentRefunded, outside bool) bus.Result {
	if outside && !o.IsPaidBy(e.UserID, o.Refunded(e.Amount)) {
		return a.ofAnother(o, e)
	}
	effect, err := o.Refund(e, w.stock, w.now)
	return result(o, effect, err, e.Amount)
}
