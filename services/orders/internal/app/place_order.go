package app

import (
	"context"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

// Idempotency is a request's Idempotency-Key.
type Idempotency struct {
	Key string
	// RequestHash identifies the request: the same key with another hash is ErrKeyReused.
	RequestHash []byte
	// RunningFor is more than 0 when the answer kept at first is replaced by FinishAnswer, at the latest after this
	// time. Until then the key is busy; after it, should FinishAnswer never come, the first answer counts.
	RunningFor time.Duration
}

// Answer is an HTTP answer to give again, byte for byte.
type Answer struct {
	Status   int
	Location string
	ETag     string
	Body     []byte
}

// Placed is what came of placing an order.
type Placed struct {
	Order   domain.Order
	Created bool // false: the order was there already, with the same content
	// Replayed is the answer kept under the idempotency key; Order is empty then.
	Replayed *Answer
}

// PlaceOrder takes an order: the order, its message in the outbox and, when key is not nil, the answer that render makes
// are kept in one transaction. An empty OrderID is replaced by a new one.
//
// Errors: domain.ErrUnknownSKU, ErrTotalMismatch and ErrNotPriceable when the catalogue disagrees;
// domain.ErrContradiction when the order id is taken by an order with other content; ErrKeyBusy, ErrKeyReused. With any
// error nothing is kept and the key stays free.
func (a *App) PlaceOrder(ctx context.Context, p domain.Placement, key *Idempotency, render func(Placed) (Answer, error)) (Placed, error) {
	if p.OrderID == "" {
		p.OrderID = a.NewID()
	}
	if p.TraceParent == "" {
		p.TraceParent = messages.NewTraceParent()
	}
	var placed Placed
	var w *work
	err := a.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		placed = Placed{}
		w = a.newWork(tx)
		if key != nil {
			answer, err := tx.ClaimKey(ctx, *key, w.now)
			if err != nil {
				return err
			}
			if answer != nil {
				placed.Replayed = answer
				return nil
			}
		}
		if err := a.place(ctx, w, p, &placed); err != nil {
			return err
		}
		if key == nil {
			return nil
		}
		answer, err := render(placed)
		if err != nil {
			return err
		}
		var runningUntil time.Time
		if key.RunningFor > 0 {
			runningUntil = w.now.Add(key.RunningFor)
		}
		return tx.KeepAnswer(ctx, *key, answer, runningUntil, w.now)
	})
	if err != nil {
		return Placed{}, err
	}
	a.committed(w)
	return placed, nil
}

func (a *App) place(ctx context.Context, w *work, p domain.Placement, placed *Placed) error {
	if err := w.lockOrders(ctx, []string{p.OrderID}); err != nil {
		return err
	}
	if o := w.orders[p.OrderID]; o != nil {
		placed.Order = *o
		return o.Same(p)
	}
	stock, err := w.tx.Catalogue(ctx, skusOf(p.Lines))
	if err != nil {
		return err
	}
	o, err := domain.Place(p, stock, domain.TriggerHTTP, a.Policy, w.now)
	if err != nil {
		return err
	}
	w.add(&o)
	w.outbox(outputs(&o)...)
	if err := w.save(ctx); err != nil {
		return err
	}
	placed.Order, placed.Created = snapshot(&o), true
	return nil
}

// FinishAnswer replaces the answer kept under the key by the final one, and ends its running. Call it with a context
// that the client's going away does not cancel.
func (a *App) FinishAnswer(ctx context.Context, key Idempotency, answer Answer) error {
	return a.Store.FinishAnswer(ctx, key, answer)
}
