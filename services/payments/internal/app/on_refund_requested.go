package app

import (
	"context"
	"errors"
	"fmt"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/payments/internal/domain"
)

// refundRounds bounds how often a batch reads a payment again because another replica captured it meanwhile. A captured
// payment stays captured until it is refunded, so the second round always finds it.
const refundRounds = 3

// OnRefundRequested gives the money of an order back, once, and answers with payment_refunded: the captured amount, or 0 when
// no money was captured. An order whose payment was not requested yet gets a tombstone and is never charged.
func (a *App) OnRefundRequested(ctx context.Context, batch []bus.In[messages.RefundRequested]) []bus.Result {
	refunds := make([]domain.Refund, len(batch))
	for i, in := range batch {
		e := in.Event
		refunds[i] = domain.Refund{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Amount, Reason: e.Reason,
			Outside: in.Source != messages.ServiceOrders}
	}
	decided, err := a.decided(ctx, orderIDs(refunds, func(r domain.Refund) string { return r.OrderID }))
	if err != nil {
		return failAll(len(batch), err)
	}
	for round := 1; ; round++ {
		open := unsettled(refunds, decided)
		if len(open) == 0 {
			break
		}
		if round > refundRounds {
			for _, r := range open {
				decided[r.OrderID].err = fmt.Errorf("refund order %s: %w", r.OrderID, errOvertaken)
			}
			break
		}
		if err := a.refundRound(ctx, open, decided); err != nil {
			return failAll(len(batch), err)
		}
	}
	a.giveBackStray(ctx, decided)

	results := make([]bus.Result, len(batch))
	for i, r := range refunds {
		d := decided[r.OrderID]
		if d.isNew {
			a.cfg.Metrics.refunded(d.payment)
			d.isNew = false
		}
		results[i] = refundResult(r, d)
	}
	return results
}

// refundResult answers one request, given what is decided about its order.
func refundResult(r domain.Refund, d *decision) bus.Result {
	switch err := d.payment.Agrees(r.UserID, r.Amount); {
	case d.payment.Status == domain.Removed:
		return bus.Result{} // a repetition: its answer was published long ago
	case d.payment.Status == domain.RemovedCaptured:
		return bus.Result{Err: fault.New(ReasonPaymentRemoved,
			"the payment of order %s was removed by retention: look with the provider whether the money was given back, and give it back if not", r.OrderID)}
	case d.err != nil:
		return bus.Result{Err: d.err}
	case err != nil && d.payment.Outside && !r.Outside: // the order's own payment was never taken
		return bus.Result{Publish: []messages.Message{takenMessage(d.payment, messages.PaymentRefunded{OrderID: r.OrderID,
			UserID: r.UserID, Amount: messages.Money{Currency: r.Amount.Currency}})}}
	case err != nil:
		return bus.Result{Err: fault.Wrap(ReasonContradictsState, err)}
	}
	return bus.Result{Publish: []messages.Message{refundedMessage(d.payment)}}
}

// unsettled returns, of each order, the first refund that agrees with the stored payment, as long as that leaves
// something to do: there is no payment yet, or it is captured.
func unsettled(refunds []domain.Refund, decided map[string]*decision) []domain.Refund {
	var open []domain.Refund
	for _, r := range refunds {
		d := decided[r.OrderID]
		if d.err == nil && (!d.exists() || d.payment.Status == domain.Captured && d.payment.Agrees(r.UserID, r.Amount) == nil) {
			open = append(open, r)
		}
	}
	return firstOfEachOrder(open, func(r domain.Refund) string { return r.OrderID })
}

// refundRound has captured money given back by the provider, then stores the refunds and tombstones in one transaction.
func (a *App) refundRound(ctx context.Context, open []domain.Refund, decided map[string]*decision) error {
	errs := each(ctx, len(open), func(ctx context.Context, i int) error {
		if !decided[open[i].OrderID].exists() {
			return nil
		}
		return a.cfg.Provider.Refund(ctx, ProviderKey(open[i].OrderID))
	})
	var refunded, tombstones []domain.Payment
	for i, r := range open {
		switch d := decided[r.OrderID]; {
		case errors.Is(errs[i], ErrNoCharge):
			// Our books say captured, the provider's say never: a retry cannot mend that.
			d.err = fault.Wrap(ReasonContradictsState, fmt.Errorf("refund order %s: %w", r.OrderID, errs[i]))
		case errs[i] != nil:
			d.err = errs[i]
		case d.exists():
			after, err := d.payment.Refund(r.Reason, a.now())
			if err != nil {
				return err
			}
			refunded = append(refunded, after)
		default:
			tombstones = append(tombstones, r.Tombstone(a.now()))
		}
	}
	if len(refunded)+len(tombstones) == 0 {
		return nil
	}
	kept, err := a.cfg.Store.Refund(ctx, refunded, tombstones)
	if err != nil {
		return err
	}
	note(decided, kept)
	return nil
}
