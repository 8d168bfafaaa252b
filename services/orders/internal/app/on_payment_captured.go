package app

import (
	"context"
	"errors"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/orders/internal/domain"
)

// OnPaymentCaptured confirms the order and sells its stock; domain.Order.Capture has its meaning in each status. It is held
// while the order does not exist, and while the order is pending and the payment was requested from outside: the order step
// then sees whether that money was given back.
func (a *App) OnPaymentCaptured(ctx context.Context, batch []bus.In[messages.PaymentCaptured]) []bus.Result {
	return onMessages(ctx, a, batch, nothingElse,
		func(ctx context.Context, w *work, in bus.In[messages.PaymentCaptured]) (bus.Result, error) {
			o := w.orders[in.Event.OrderID]
			e := in.Event
			if waits(o, in.Outside, e.UserID, e.Amount) {
				return a.hold(ctx, w, e, in.Record, in.Outside)
			}
			r := a.captured(w, o, e, in.Outside)
			return r, transient(r.Err)
		})
}

// waits reports whether a message about a payment must wait for the order step.
func waits(o *domain.Order, outside bool, userID string, amount messages.Money) bool {
	return o == nil || outside && o.Status == domain.Pending && o.IsPaidBy(userID, amount)
}

func (a *App) captured(w *work, o *domain.Order, e messages.PaymentCaptured, outside bool) bus.Result {
	if outside && !o.IsPaidBy(e.UserID, e.Amount) {
		return a.ofAnother(o, e)
	}
	effect, err := o.Capture(e, w.stock, a.cfg.Policy, w.now)
	return result(o, effect, err, e.Amount)
}

// result turns the effect of a message into the messages to publish.
func result(o *domain.Order, effect domain.Effect, err error, amount messages.Money) bus.Result {
	switch {
	case errors.Is(err, domain.ErrContradiction):
		return bus.Result{Err: fault.Wrap(ReasonContradictsState, err)}
	case err != nil:
		return bus.Result{Err: err}
	case effect == domain.Moved, effect == domain.Repeated:
		return bus.Result{Publish: outputs(o)}
	case effect == domain.MoneyBack:
		return bus.Result{Publish: []messages.Message{moneyBack(o, amount)}}
	default:
		return bus.Result{}
	}
}

// transient returns err when it must undo the whole transaction, nil when its message fails alone.
func transient(err error) error {
	if fault.KindOf(err) == fault.Permanent {
		return nil
	}
	return err
}

// hold stores a message until its order arrives. A message about a payment from outside is held without end: an order that is
// placed later with its id must neither be charged again nor lose the money. Any other message that is a dead letter already,
// and is replayed, fails again.
func (a *App) hold(ctx context.Context, w *work, e messages.Event, r messages.Record, outside bool) (bus.Result, error) {
	parked, err := w.tx.Hold(ctx, Held{OrderID: e.Order(), Event: e.EventName(), Record: r, HeldAt: w.now, Outside: outside})
	if err != nil {
		return bus.Result{}, err
	}
	if parked {
		return bus.Result{Err: unknownOrder(e.Order())}, nil
	}
	a.cfg.Log.Info("message held until its order arrives", "event", e.EventName(), "order_id", e.Order(), "topic", r.Topic,
		"partition", r.Partition, "offset", r.Offset)
	return bus.Result{}, nil
}

// ofAnother acknowledges a message about a payment from outside that is not this order's: it has another amount or user.
// Payments then refuses the order's own payment, so the order fails.
func (a *App) ofAnother(o *domain.Order, e messages.Event) bus.Result {
	a.cfg.Log.Warn("the order's id belongs to a payment that was requested from outside", "event", e.EventName(), "order_id", o.ID)
	return bus.Result{}
}

func unknownOrder(id string) error {
	return fault.New(ReasonUnknownOrder, "order %s was never placed", id)
}
