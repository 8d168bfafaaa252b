package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/batch"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/orders/internal/domain"
)

// Idempotency is a request's Idempotency-Key. The keys of two users are independent.
type Idempotency struct {
	User string // of the caller; "" = it has none
	Key  string
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

// Placed is the result of placing an order.
type Placed struct {
	Order   domain.Order
	Created bool // false: the order existed, with the same content
	// Replayed is the answer kept under the idempotency key; Order is empty then.
	Replayed *Answer
}

// PlaceOrder takes an order. One transaction stores the order, its message in the outbox and, with a key, the answer that render
// makes. Orders that wait together share a transaction. An empty OrderID is replaced by a new one.
//
// Errors: ErrNotYours when the caller may not place orders of that user; domain.ErrUnknownSKU, ErrTotalMismatch and
// ErrNotPriceable when the catalogue disagrees; domain.ErrContradiction when another order has the id, or had it before
// retention removed it; ErrKeyBusy, ErrKeyReused; ErrBusy. ErrNotBegun: ctx ended first, or orders before it failed.
// After these and all other errors nothing is stored and the key stays free. The exception is ErrUnknown: the order may have
// been taken.
func (a *App) PlaceOrder(ctx context.Context, p domain.Placement, key *Idempotency, render func(Placed) (Answer, error)) (Placed, error) {
	if user, only := auth.Of(ctx).Writes(); only && (user == "" || p.UserID != user) {
		return Placed{}, ErrNotYours
	}
	if !a.backlog.take(a.now()) {
		return Placed{}, ErrBusy
	}
	r := placeRequest{Placement: p, key: key, render: render}
	if r.OrderID == "" {
		r.OrderID, r.newID = a.cfg.NewID(), true
	}
	if r.TraceParent == "" {
		r.TraceParent = tracing.Parent(ctx)
	}
	if r.TraceParent == "" {
		r.TraceParent = messages.NewTraceParent()
	}
	r.deadline, r.bounded = ctx.Deadline()
	out, err := a.placing.Do(ctx, r)
	if out.batch != "" {
		tracing.Current(ctx).Link(out.batch)
	}
	switch failure := a.failing.Load(); {
	case errors.Is(err, batch.ErrFull) && failure != nil:
		err = fmt.Errorf("%w, because orders before it failed: %w", ErrNotBegun, *failure)
	case errors.Is(err, batch.ErrFull):
		err = ErrBusy
	case errors.Is(err, batch.ErrNotBegun):
		err = fmt.Errorf("%w: %w", ErrNotBegun, err)
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return out.placed, errors.Join(out.err, err)
}

// placeRequest is one call of PlaceOrder.
type placeRequest struct {
	domain.Placement
	newID  bool // PlaceOrder made the id, so no such order can exist
	key    *Idempotency
	render func(Placed) (Answer, error)
	// deadline is when the caller leaves, if bounded.
	deadline time.Time
	bounded  bool
}

// placeOutcome is the result of one call of PlaceOrder. With whole the error is of the whole transaction.
type placeOutcome struct {
	placed Placed
	err    error
	whole  bool
	batch  string // traceparent of the batch it was in, when spans are made
}

// The limits of placing. Two transactions at a time, because one waits for its commit most of the time.
const (
	placingAtOnce  = 2
	placingTimeout = 5 * time.Second
	// placingWithin is how long an order may wait to be begun, when Config does not say so.
	placingWithin = 300 * time.Millisecond
	// placingMargin is how long before its first caller leaves a transaction is given up, so that the callers still get the
	// error.
	placingMargin = 100 * time.Millisecond
	// placingGrace is how long PlaceOrder waits for the result of a begun order after the caller's deadline. A commit that was
	// sent in time has its answer by then, also on a busy machine. Without it the outcome would be unknown.
	placingGrace = 400 * time.Millisecond
)

func newPlacing(a *App) *batch.Batcher[placeRequest, placeOutcome] {
	return batch.New(batch.Config[placeRequest, placeOutcome]{
		Handle: a.placeInTime, Failed: func(o placeOutcome) bool { return o.whole },
		Workers: placingAtOnce, Within: cmp.Or(a.cfg.PlaceWithin, placingWithin), Timeout: placingTimeout, Grace: placingGrace,
	})
}

// Busy reports whether an order would be refused now with ErrBusy, and how long the orders that wait will take.
func (a *App) Busy() (after time.Duration, busy bool) {
	if after, busy = a.backlog.full(a.now()); busy {
		return after, true
	}
	after, busy = a.placing.Busy()
	return after, busy && a.failing.Load() == nil
}

// placeInTime is placeTraced until the first of its callers leaves.
func (a *App) placeInTime(ctx context.Context, batch []placeRequest) []placeOutcome {
	var first time.Time
	for _, r := range batch {
		if r.bounded && (first.IsZero() || r.deadline.Before(first)) {
			first = r.deadline
		}
	}
	if !first.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, first.Add(-placingMargin))
		defer cancel()
	}
	return a.placeTraced(ctx, batch)
}

// placeTraced is placeAll within the span of the batch.
func (a *App) placeTraced(ctx context.Context, batch []placeRequest) []placeOutcome {
	if !a.cfg.Tracer.On() {
		return a.placeAll(ctx, batch)
	}
	parents := make([]string, len(batch))
	for i, r := range batch {
		parents[i] = r.TraceParent
	}
	ctx, span := a.cfg.Tracer.Batch(ctx, "place_order", tracing.BatchSizeKey, parents)
	outcomes := a.placeAll(ctx, batch)
	var err error
	if outcomes[0].whole || errors.Is(outcomes[0].err, ErrUnknown) {
		err = outcomes[0].err
	}
	span.End(err)
	for i := range outcomes {
		outcomes[i].batch = span.TraceParent()
	}
	return outcomes
}

// placeAll places a batch of orders in one transaction. An order that breaks a rule fails alone.
func (a *App) placeAll(ctx context.Context, batch []placeRequest) []placeOutcome {
	outcomes := make([]placeOutcome, len(batch))
	w, err := a.inWork(ctx, func(ctx context.Context, w *work) error {
		clear(outcomes) // of an earlier attempt
		open, err := w.claimKeys(ctx, batch, outcomes)
		if err != nil {
			return err
		}
		stock, err := w.prepare(ctx, batch, open)
		if err != nil {
			return err
		}
		for _, i := range open {
			r, o := batch[i], &outcomes[i]
			if o.placed, o.err = a.place(w, r.Placement, stock); o.err != nil || r.key == nil {
				continue
			}
			answer, err := r.render(o.placed)
			if err != nil {
				return err
			}
			w.out.Answers = append(w.out.Answers, r.keep(answer, w.now))
		}
		return nil
	})
	if err != nil {
		a.failing.Store(&err)
		// An order that may have been taken is not placed again: its client repeats the request, with the same key or order id.
		again := !errors.Is(err, ErrUnknown)
		for i := range outcomes {
			outcomes[i] = placeOutcome{err: err, whole: again}
		}
		return outcomes
	}
	if a.failing.Load() != nil {
		a.failing.Store(nil)
	}
	a.committed(w)
	return outcomes
}

// claimKeys locks the idempotency keys of the batch, and returns the indexes of the requests that are still to be decided.
func (w *work) claimKeys(ctx context.Context, batch []placeRequest, outcomes []placeOutcome) (open []int, err error) {
	var keys []Idempotency
	var keyed []int
	type keyOf struct{ user, key string }
	seen := make(map[keyOf]bool)
	for i, r := range batch {
		switch {
		case r.key == nil:
			open = append(open, i)
		case seen[keyOf{r.key.User, r.key.Key}]: // the first request with this key is in the same batch
			outcomes[i].err = ErrKeyBusy
		default:
			seen[keyOf{r.key.User, r.key.Key}] = true
			keys, keyed = append(keys, *r.key), append(keyed, i)
		}
	}
	if len(keys) == 0 {
		return open, nil
	}
	claims, err := w.tx.ClaimKeys(ctx, keys, w.now)
	if err != nil {
		return nil, err
	}
	for k, i := range keyed {
		switch c := claims[k]; {
		case c.Err != nil:
			outcomes[i].err = c.Err
		case c.Answer != nil:
			outcomes[i].placed.Replayed = c.Answer
		default:
			open = append(open, i)
		}
	}
	slices.Sort(open)
	return open, nil
}

// prepare locks the orders that may exist and reads the products of the requests.
func (w *work) prepare(ctx context.Context, batch []placeRequest, open []int) (domain.Stock, error) {
	var ids, skus []string
	for _, i := range open {
		if !batch[i].newID {
			ids = append(ids, batch[i].OrderID)
		}
		skus = append(skus, skusOf(batch[i].Lines)...)
	}
	if len(ids) > 0 {
		if err := w.lockOrders(ctx, ids); err != nil {
			return nil, err
		}
	}
	slices.Sort(skus)
	return w.tx.Catalogue(ctx, slices.Compact(skus))
}

func (a *App) place(w *work, p domain.Placement, stock domain.Stock) (Placed, error) {
	if o := w.orders[p.OrderID]; o != nil {
		if err := o.Same(p); err != nil {
			return Placed{}, err
		}
		return Placed{Order: snapshot(o)}, nil
	}
	if w.tx.Removed(p.OrderID) {
		return Placed{}, fmt.Errorf("order %s was placed long ago and is removed: %w", p.OrderID, domain.ErrContradiction)
	}
	o, err := domain.Place(p, stock, domain.TriggerHTTP, a.cfg.Policy, w.now)
	if err != nil {
		return Placed{}, err
	}
	w.add(&o)
	w.outbox(outputs(&o)...)
	return Placed{Order: snapshot(&o), Created: true}, nil
}

// keep returns the answer to store under the request's key.
func (r placeRequest) keep(answer Answer, now time.Time) KeptAnswer {
	kept := KeptAnswer{Idempotency: *r.key, Answer: answer}
	if r.key.RunningFor > 0 {
		kept.RunningUntil = now.Add(r.key.RunningFor)
	}
	return kept
}

// FinishAnswer replaces the stored answer of a running key by the final one. Call it with a context that does not end when the
// client leaves.
func (a *App) FinishAnswer(ctx context.Context, key Idempotency, answer Answer) error {
	return a.cfg.Store.FinishAnswer(ctx, key, answer)
}
