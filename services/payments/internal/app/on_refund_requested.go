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

// refundRounds bounds how often a batch looks again because another replica captured a payment meanwhile. A captured
// payment stays one until it is refunded, so the second look always finds it.
const refundRounds = 3

// OnRefundRequested gives the money of an order back, once, and answers with payment_refunded: of what was captured, or
// of 0 when nothing was. An order whose payment was not asked for yet gets a tombstone and is never charged.
func (a *App) OnRefundRequested(ctx context.Context, batch []bus.In[messages.RefundRequested]) []bus.Result {
	refunds := make([]domain.Refund, len(batch))
	for i, in := range batch {
		e := in.Event
		refunds[i] = domain.Refund{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Amount, Reason: e.Reason,
			Outside: in.Source != messages.ServiceOrders}
	}
	known, err := a.Store.Payments(ctx, orderIDs(refunds, func(r domain.Refund) string { return r.OrderID }))
	if err != nil {
		return failAll(len(batch), err)
	}
	kept := make(map[string]Kept, len(refunds))
	for id, p := range known {
		kept[id] = Kept{Payment: p}
	}

	failed := make(map[string]error)
	for round := 1; ; round++ {
		open := unsettled(refunds, kept, failed)
		if len(open) == 0 {
			break
		}
		if round > refundRounds {
			for _, r := range open {
				failed[r.OrderID] = fmt.Errorf("refund order %s: %w", r.OrderID, errOvertaken)
			}
			break
		}
		if err := a.refundRound(ctx, open, kept, failed); err != nil {
			return failAll(len(batch), err)
		}
	}
	for id, err := range a.giveBackStray(ctx, kept, nil) {
		failed[id] = err
	}

	results := make([]bus.Result, len(batch))
	seen := make(map[string]bool, len(batch))
	for i, r := range refunds {
		if p := kept[r.OrderID]; p.Now && !seen[r.OrderID] {
			a.Metrics.refunded(p.Payment)
		}
		seen[r.OrderID] = true
		if err := failed[r.OrderID]; err != nil {
			results[i].Err = err
			continue
		}
		p := kept[r.OrderID]
		err := p.Agrees(r.UserID, r.Amount)
		if err != nil && p.Outside && !r.Outside { // of the order itself nothing was ever taken
			results[i].Publish = []messages.Message{takenMessage(p.Payment, messages.PaymentRefunded{OrderID: r.OrderID,
				UserID: r.UserID, Amount: messages.Money{Currency: r.Amount.Currency}})}
			continue
		}
		if err != nil {
			results[i].Err = fault.Wrap(ReasonContradictsState, err)
			continue
		}
		results[i].Publish = []messages.Message{refundedMessage(p.Payment)}
	}
	return results
}

// unsettled returns, of each order, the first refund that agrees with what is kept, as long as that leaves something to
// do: there is no payment yet, or it is captured.
func unsettled(refunds []domain.Refund, kept map[string]Kept, failed map[string]error) []domain.Refund {
	var open []domain.Refund
	for _, r := range refunds {
		p, ok := kept[r.OrderID]
		if failed[r.OrderID] == nil && (!ok || p.Status == domain.Captured && p.Agrees(r.UserID, r.Amount) == nil) {
			open = append(open, r)
		}
	}
	return firstOfEachOrder(open, func(r domain.Refund) string { return r.OrderID })
}

// refundRound has captured money given back by the provider, then keeps the refunds and tombstones in one transaction,
// and notes in kept what each order has now.
func (a *App) refundRound(ctx context.Context, open []domain.Refund, kept map[string]Kept, failed map[string]error) error {
	errs := each(ctx, len(open), func(ctx context.Context, i int) error {
		if _, captured := kept[open[i].OrderID]; !captured {
			return nil
		}
		return a.Provider.Refund(ctx, providerKey(open[i].OrderID))
	})
	var refunded, tombstones []domain.Payment
	for i, r := range open {
		p, captured := kept[r.OrderID]
		switch {
		case errors.Is(errs[i], ErrNoCharge):
			// Our books say captured, the provider's say never: nothing that trying again could mend.
			failed[r.OrderID] = fault.Wrap(ReasonContradictsState, fmt.Errorf("refund order %s: %w", r.OrderID, errs[i]))
		case errs[i] != nil:
			failed[r.OrderID] = errs[i]
		case captured:
			after, err := p.Refund(r.Reason, a.now())
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
	now, err := a.Store.Refund(ctx, refunded, tombstones)
	if err != nil {
		return err
	}
	for id, p := range now {
		kept[id] = p
	}
	return nil
}
