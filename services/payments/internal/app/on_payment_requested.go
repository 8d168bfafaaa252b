package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/payments/internal/domain"
)

// OnPaymentRequested charges for an order, once, unless the fraud rule or a tombstone says otherwise, and answers with
// payment_captured or payment_failed. A repetition gets the same answer while the payment is still what the request led
// to. A request for another amount or user than the first one is parked. When the first one came from outside, the
// orders service gets payment_failed instead: its order must not wait for a payment that cannot come.
func (a *App) OnPaymentRequested(ctx context.Context, batch []bus.In[messages.PaymentRequested]) []bus.Result {
	requests := make([]domain.Request, len(batch))
	for i, in := range batch {
		e := in.Event
		requests[i] = domain.Request{OrderID: e.OrderID, UserID: e.UserID, Amount: e.Amount, Method: e.PaymentMethod,
			Outside: in.Source != messages.ServiceOrders}
	}
	decided, err := a.decide(ctx, requests)
	if err != nil {
		return failAll(len(batch), err)
	}
	results := make([]bus.Result, len(batch))
	for i, r := range requests {
		d := decided[r.OrderID]
		if d.isNew {
			a.cfg.Metrics.settled(d.payment, batch[i].Time, a.now())
			d.isNew = false
		}
		results[i] = a.requestResult(r, d)
		if errors.Is(d.err, ErrKeyReused) {
			d.err = errOvertaken // a later message may be the one that the provider knows: it is decided on its own
		}
	}
	return results
}

// requestResult answers one request, given what is decided about its order.
func (a *App) requestResult(r domain.Request, d *decision) bus.Result {
	if d.payment.Status.IsRemoved() {
		return bus.Result{} // a repetition: its answer was published long ago
	}
	switch err := d.payment.Agrees(r.UserID, r.Amount); {
	case d.err != nil:
		return bus.Result{Err: d.err}
	case !r.Outside && d.payment.RefusesOrder(r.UserID, r.Amount):
		return bus.Result{Publish: []messages.Message{takenMessage(d.payment, messages.PaymentFailed{OrderID: r.OrderID,
			UserID: r.UserID, Total: r.Amount, Reason: domain.ReasonOrderIDTaken})}}
	case err != nil:
		return bus.Result{Err: fault.Wrap(ReasonContradictsState, err)}
	}
	return bus.Result{Publish: a.answer(d.payment)}
}

// decide returns the decision about each order. The first request of an order decides. An order whose provider call
// failed stays undecided, so that its later requests in the batch cannot overtake the first.
func (a *App) decide(ctx context.Context, requests []domain.Request) (map[string]*decision, error) {
	firsts := firstOfEachOrder(requests, func(r domain.Request) string { return r.OrderID })
	decided, err := a.decided(ctx, orderIDs(firsts, func(r domain.Request) string { return r.OrderID }))
	if err != nil {
		return nil, err
	}
	undecided := slices.DeleteFunc(firsts, func(r domain.Request) bool { return decided[r.OrderID].exists() })
	if err := a.charge(ctx, undecided, decided); err != nil {
		return nil, err
	}
	a.giveBackStray(ctx, decided)
	return decided, nil
}

// charge asks the provider for each request that the fraud rule lets through, and stores the payments. A request without
// a final answer leaves its order undecided, with the error.
func (a *App) charge(ctx context.Context, requests []domain.Request, decided map[string]*decision) error {
	payments := make([]domain.Payment, len(requests))
	errs := each(ctx, len(requests), func(ctx context.Context, i int) error {
		r := requests[i]
		if a.cfg.FraudLimits.Suspects(r.Amount) {
			payments[i] = r.Suspect(a.now())
			return nil
		}
		answer, err := a.cfg.Provider.Charge(ctx, Charge{Key: ProviderKey(r.OrderID), OrderID: r.OrderID, UserID: r.UserID,
			Amount: r.Amount, Method: r.MethodOrDefault()})
		if err != nil {
			return err
		}
		payments[i] = r.Settle(answer, a.now())
		return nil
	})
	var made []domain.Payment
	for i, r := range requests {
		switch d := decided[r.OrderID]; {
		case errors.Is(errs[i], ErrKeyReused):
			d.err = a.keyReused(r)
		case errs[i] != nil:
			d.err = errs[i]
		default:
			// A provider that just declined holds no money: it need not be asked.
			d.clean = payments[i].Status == domain.Failed && payments[i].Reason != domain.ReasonSuspectedFraud
			made = append(made, payments[i])
		}
	}
	if len(made) == 0 {
		return nil
	}
	kept, err := a.cfg.Store.Open(ctx, made)
	if err != nil {
		return err
	}
	note(decided, kept)
	return nil
}

// keyReused returns the error of a request whose key the provider knows from another charge. The message that led to
// that charge is still to come, and makes the payment that answers the orders service: its request is tried again for a
// while. Others are parked.
func (a *App) keyReused(r domain.Request) error {
	err := fmt.Errorf("charge order %s: %w", r.OrderID, ErrKeyReused)
	if !r.Outside && a.unkept.tried(r.OrderID, a.now()) {
		return fmt.Errorf("%w, and no payment is stored for it yet: %w", err, errOvertaken)
	}
	return fault.Wrap(ReasonContradictsState, err)
}
