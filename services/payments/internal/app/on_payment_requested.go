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

// OnPaymentRequested charges for an order, once, unless the fraud rule or a tombstone says otherwise, and answers with
// payment_captured or payment_failed. A repetition gets the same answer while the payment is still what the request led
// to. A request for another amount or by another user than the first one is parked. The orders service hears payment_failed
// instead when the first one came from outside: its order must not wait for a payment that cannot come.
func (a *App) OnPaymentRequested(ctx context.Context, batch []bus.In[messages.PaymentRequested]) []bus.Result {
	requests := make([]domain.Request, len(batch))
	for i, in := range batch {
		e := in.Event
		requests[i] = domain.Request{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Amount, Method: e.PaymentMethod,
			Outside: in.Source != messages.ServiceOrders}
	}
	kept, failed, err := a.decide(ctx, requests)
	if err != nil {
		return failAll(len(batch), err)
	}

	results := make([]bus.Result, len(batch))
	seen := make(map[string]bool, len(batch))
	for i, r := range requests {
		p, ok := kept[r.OrderID]
		first := !seen[r.OrderID]
		seen[r.OrderID] = true
		if first && p.Now {
			a.Metrics.settled(p.Payment, batch[i].Time, a.now())
		}
		switch {
		case failed[r.OrderID] != nil:
			results[i].Err = failed[r.OrderID]
		// The provider knows another request for this order, whose message is still to come. Orders needs an answer, which is
		// made of the payment that this leads to.
		case !ok && first && !r.Outside && a.unkept.tried(r.OrderID, a.now()):
			results[i].Err = fmt.Errorf("charge order %s: %w, and no payment tells of it yet: %w", r.OrderID, ErrKeyReused, errOvertaken)
		case !ok && first:
			results[i].Err = fault.Wrap(ReasonContradictsState, fmt.Errorf("charge order %s: %w", r.OrderID, ErrKeyReused))
		case !ok: // and this may be that message: it is decided on its own
			results[i].Err = errOvertaken
		case !r.Outside && p.RefusesOrder(r.UserID, r.Amount):
			results[i].Publish = []messages.Message{takenMessage(p.Payment, messages.PaymentFailed{OrderID: r.OrderID,
				UserID: r.UserID, Total: r.Amount, Reason: domain.ReasonOrderIDTaken})}
		default:
			if err := p.Agrees(r.UserID, r.Amount); err != nil {
				results[i].Err = fault.Wrap(ReasonContradictsState, err)
				continue
			}
			results[i].Publish = a.answer(p.Payment)
		}
	}
	return results
}

// decide returns the payment that each order has after the requests, and by order id what keeps an order from being
// decided just now. The first request of an order decides; an order whose provider call failed stays undecided, so that
// its later requests in the batch cannot overtake the first.
func (a *App) decide(ctx context.Context, requests []domain.Request) (kept map[string]Kept, failed map[string]error, err error) {
	firsts := firstOfEachOrder(requests, func(r domain.Request) string { return r.OrderID })
	known, err := a.Store.Payments(ctx, orderIDs(firsts, func(r domain.Request) string { return r.OrderID }))
	if err != nil {
		return nil, nil, err
	}
	kept = make(map[string]Kept, len(firsts))
	var undecided []domain.Request
	for _, r := range firsts {
		if p, ok := known[r.OrderID]; ok {
			kept[r.OrderID] = Kept{Payment: p}
		} else {
			undecided = append(undecided, r)
		}
	}

	payments, failed := a.charge(ctx, undecided)
	if len(payments) > 0 {
		opened, err := a.Store.Open(ctx, payments)
		if err != nil {
			return nil, nil, err
		}
		for id, p := range opened {
			kept[id] = p
		}
	}
	declined := make(map[string]bool, len(payments))
	for _, p := range payments {
		// A provider that just declined holds nothing: it need not be asked.
		declined[p.OrderID] = p.Status == domain.Failed && p.Reason != domain.ReasonSuspectedFraud
	}
	for id, err := range a.giveBackStray(ctx, kept, declined) {
		failed[id] = err
	}
	return kept, failed, nil
}

// charge asks the provider for each request that the fraud rule lets through. It returns the payments that come of
// them, in the same order; a request that has no final answer yet is in failed instead, by order id. A request whose
// key the provider knows from another one yields neither: what is kept about the order decides.
func (a *App) charge(ctx context.Context, requests []domain.Request) (payments []domain.Payment, failed map[string]error) {
	payments = make([]domain.Payment, len(requests))
	errs := each(ctx, len(requests), func(ctx context.Context, i int) error {
		r := requests[i]
		if a.FraudLimits.Suspects(r.Amount) {
			payments[i] = r.Suspect(a.now())
			return nil
		}
		answer, err := a.Provider.Charge(ctx, Charge{Key: providerKey(r.OrderID), OrderID: r.OrderID, UserID: r.UserID,
			Amount: r.Amount, Method: r.MethodOrDefault()})
		if err != nil {
			return err
		}
		payments[i] = r.Settle(answer, a.now())
		return nil
	})
	failed = make(map[string]error)
	decided := payments[:0]
	for i, err := range errs {
		switch {
		case err == nil:
			decided = append(decided, payments[i])
		case errors.Is(err, ErrKeyReused):
		default:
			failed[requests[i].OrderID] = err
		}
	}
	return decided, failed
}
