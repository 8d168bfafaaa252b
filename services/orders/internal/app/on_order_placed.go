package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/orders/internal/domain"
)

// OnOrderPlaced is the order step. It reserves the order's stock, all lines or none, and requests its payment; or it rejects
// the order. An order that came straight from Kafka is made first. Held messages of the order are applied, also when it ended
// before its step.
//
// The same order with the same content is a repetition. With other content it is parked, and so is an order whose stated
// total contradicts the catalogue.
func (a *App) OnOrderPlaced(ctx context.Context, batch []bus.In[messages.OrderPlaced]) []bus.Result {
	return onMessages(ctx, a, batch,
		func(w *work) (lines []domain.Line, heldFor []string) {
			for _, in := range batch {
				if w.orders[in.Event.OrderID] == nil {
					lines = append(lines, domain.PlacementOf(in.Event, "").Lines...)
				}
				heldFor = append(heldFor, in.Event.OrderID)
			}
			return lines, heldFor
		},
		func(_ context.Context, w *work, in bus.In[messages.OrderPlaced]) (bus.Result, error) {
			return a.orderStep(w, in)
		})
}

func (a *App) orderStep(w *work, in bus.In[messages.OrderPlaced]) (bus.Result, error) {
	p := domain.PlacementOf(in.Event, in.TraceParent)
	o := w.orders[p.OrderID]
	if o == nil {
		placed, err := a.placeFromMessage(w, p)
		if err != nil {
			return bus.Result{Err: err}, nil
		}
		o = &placed
		w.add(o)
	} else if err := o.Same(p); err != nil {
		return bus.Result{Err: fault.Wrap(ReasonContradictsState, err)}, nil
	}
	if o.Status != domain.Pending {
		var result bus.Result
		if o.DecidedBy == messages.EventOrderPlaced {
			result.Publish = outputs(o)
		}
		// The step comes too late, as after a cancellation. No later step would apply the held messages.
		return result, a.applyHeld(w, o)
	}

	// Held messages are about a payment, so they come first: a paid order need not request its payment. Only an order that
	// could not be priced is rejected before.
	var result bus.Result
	if o.Total.Minor != 0 {
		if err := a.applyHeld(w, o); err != nil {
			return bus.Result{}, err
		}
	}
	if o.Status == domain.Pending {
		if err := o.Reserve(w.stock, a.cfg.Policy, w.now); err != nil {
			return bus.Result{}, err
		}
		result.Publish = outputs(o)
	}
	return result, a.applyHeld(w, o)
}

func (a *App) placeFromMessage(w *work, p domain.Placement) (domain.Order, error) {
	o, err := domain.Place(p, w.stock, messages.EventOrderPlaced, a.cfg.Policy, w.now)
	switch {
	case errors.Is(err, domain.ErrUnknownSKU):
		return domain.PlaceUnpriced(p, messages.EventOrderPlaced, a.cfg.Policy, w.now)
	case errors.Is(err, domain.ErrTotalMismatch):
		return o, fault.Wrap(ReasonTotalMismatch, err)
	case errors.Is(err, domain.ErrNotPriceable):
		return o, fault.Wrap(ReasonNotPriceable, err)
	}
	return o, err
}

// applyHeld applies messages that came before their order, or before its step. They are not redelivered, so their outputs go
// through the outbox. A message that contradicts the order is parked, or dropped when it is about a payment from outside that
// is not the order's. Once that payment was given back, only the refund counts.
func (a *App) applyHeld(w *work, o *domain.Order) error {
	waiting := w.held[o.ID]
	delete(w.held, o.ID)
	over := slices.ContainsFunc(waiting, func(h Held) bool { return h.Event == messages.EventPaymentRefunded })
	for _, h := range waiting {
		w.out.Applied = append(w.out.Applied, h.ID)
		if over && h.Event != messages.EventPaymentRefunded {
			continue
		}
		m, err := a.cfg.Trusted.Decode(h.Record)
		var r bus.Result
		var bad *messages.DecodeError
		if errors.As(err, &bad) { // it was held before there were keys, or its key is not trusted any more
			r.Err = fault.Wrap(bad.Reason, err)
		} else if err != nil {
			return fmt.Errorf("decode held message of order %s: %w", o.ID, err)
		}
		switch e := m.Event.(type) {
		case messages.PaymentCaptured:
			r = a.captured(w, o, e, h.Outside)
		case messages.PaymentFailed:
			r = a.failed(w, o, e, h.Outside)
		case messages.PaymentRefunded:
			r = a.wentBack(w, o, e, h.Outside)
		}
		if r.Err != nil {
			if fault.KindOf(r.Err) != fault.Permanent {
				return r.Err
			}
			w.out.Park = append(w.out.Park, Parked{Record: h.Record, Reason: fault.Reason(r.Err), Detail: r.Err.Error()})
			continue
		}
		w.outbox(r.Publish...)
	}
	return nil
}

// wentBack applies a held refund: the order's id has a payment that has ended, so payments would refuse the order's own. The
// order fails at once, as it would by that answer. If it requested its payment first, a redelivered payment_captured would
// confirm it on money that was given back. No payment_failed is published, so order_failed is.
func (a *App) wentBack(w *work, o *domain.Order, e messages.PaymentRefunded, outside bool) bus.Result {
	if o.Status != domain.Pending {
		return a.refunded(w, o, e, outside)
	}
	a.cfg.Log.Warn("the order's id belongs to a payment that was requested from outside and given back", "order_id", o.ID)
	if err := o.LoseID(w.now); err != nil {
		return bus.Result{Err: err}
	}
	return bus.Result{Publish: outputs(o)}
}
