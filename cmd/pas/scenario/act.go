package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/toolbox/client"
)

const (
	// defaultPatience bounds one wait, pollEvery is the pause between two polls. showTime bounds the reading of
	// all orders for the output, and undoTime each undo.
	defaultPatience = time.Minute
	pollEvery       = 20 * time.Millisecond
	showTime        = 20 * time.Second
	undoTime        = 20 * time.Second
)

// act is one performance of a scenario. Its error is sticky: after the first expectation that does not hold,
// every further step is skipped. So a scenario reads as a plain list of steps, without error handling. An act
// is used by one goroutine.
type act struct {
	ctx    context.Context
	env    *Env
	suffix string // makes this performance's names unique
	wire   *wire
	orders []string // ids of orders to show, in order of appearance
	notes  []string
	// stopped services are started again when the act ends, also after a failure in between.
	stopped []string
	// undo runs when the act ends, latest first, also after a failure in between.
	undo      []func(context.Context) error
	misplaced map[string]int64 // pieces by sku: see misplace
	err       error
}

// newAct begins a performance. Eight hexadecimal digits make its names unique on a shared system.
func newAct(ctx context.Context, env *Env) *act {
	id := uuid.NewString()
	return &act{ctx: ctx, env: env, suffix: id[:8]}
}

// close undoes changes that must not stay, closes the Kafka connections and starts the stopped services. It
// does so after a cancellation as well: the stack may be somebody's running system. Errors are joined, and no
// step skips a later one.
func (a *act) close() error {
	var errs []error
	for _, undo := range slices.Backward(a.undo) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), undoTime)
		errs = append(errs, undo(ctx))
		cancel()
	}
	if a.wire != nil {
		a.wire.close()
	}
	for _, service := range a.stopped {
		if err := a.env.Control.StartService(context.WithoutCancel(a.ctx), service); err != nil {
			errs = append(errs, fmt.Errorf("start %s again: %w", service, err))
		}
	}
	return errors.Join(errs...)
}

// fail records the first failure; later ones are usually its consequences and are dropped.
func (a *act) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// try records err with the operation that failed, and reports whether the act may continue.
func (a *act) try(err error, format string, args ...any) bool {
	if a.err == nil && err != nil {
		a.err = fmt.Errorf(format+": %w", append(args, err)...)
	}
	return a.err == nil
}

// expect records a failure when got differs from want.
func expect[T comparable](a *act, what string, want, got T) {
	if a.err == nil && got != want {
		a.fail("%s is %v, expected %v", what, got, want)
	}
}

// note adds a line to the output, unless the act has failed: a note claims that the step before it succeeded.
func (a *act) note(format string, args ...any) {
	if a.err == nil {
		a.notes = append(a.notes, fmt.Sprintf(format, args...))
	}
}

// ok reports whether every expectation so far held. A step that calls a service directly asks it first.
func (a *act) ok() bool { return a.err == nil }

// until polls check until it returns nil, and fails with the last error when the patience is over. An error
// made by hopeless ends the wait at once.
func (a *act) until(what string, check func(ctx context.Context) error) {
	if !a.ok() {
		return
	}
	patience := a.patience()
	ctx, cancel := context.WithTimeout(a.ctx, patience)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		var never hopelessError
		if errors.As(err, &never) {
			a.fail("%s: %w", what, never.err)
			return
		}
		// The error of the call that the deadline cut off would hide the reason; the one before it is reported.
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			a.fail("%s: not within %s: %w", what, patience, last)
			return
		case <-tick.C:
		}
	}
}

// patience returns the bound of each wait.
func (a *act) patience() time.Duration {
	if a.env.Patience <= 0 {
		return defaultPatience
	}
	return a.env.Patience
}

// hopelessError marks a failure that waiting cannot mend, such as a second email. It saves the rest of the
// patience.
type hopelessError struct{ err error }

func (e hopelessError) Error() string { return e.err.Error() }

// hopeless makes an error that ends the wait of until at once.
func hopeless(format string, args ...any) error { return hopelessError{fmt.Errorf(format, args...)} }

// user returns a user name that only this performance uses.
func (a *act) user(name string) string { return name + "-" + a.suffix }

// product makes a product with this many pieces in stock and returns its sku, which only this performance uses.
func (a *act) product(name, price string, pieces int64) string {
	sku := strings.ReplaceAll(name, " ", "-") + "-" + a.suffix
	if !a.ok() {
		return sku
	}
	_, err := a.env.Client.PutProduct(a.ctx, sku, client.Product{Name: name, Price: number(price)})
	if a.try(err, "create product %s", sku) && pieces > 0 {
		_, err = a.env.Client.Restock(a.ctx, sku, pieces)
		a.try(err, "restock product %s", sku)
	}
	return sku
}

// watch remembers an order to show at the end. Each id is shown once.
func (a *act) watch(orderID string) {
	if orderID != "" && !slices.Contains(a.orders, orderID) {
		a.orders = append(a.orders, orderID)
	}
}

// place posts an order and returns it as accepted, which is before it is settled. The order is watched.
func (a *act) place(order client.NewOrder) client.Order {
	if !a.ok() {
		return client.Order{}
	}
	placed, _, err := a.env.Client.Place(a.ctx, order, client.PlaceOptions{})
	a.watch(placed.OrderID)
	a.try(err, "place an order")
	return placed
}

// settled waits until the order has a final status, and expects this status and reason.
func (a *act) settled(orderID, status, reason string) client.Order {
	a.watch(orderID)
	order := a.reaches(orderID, func(o client.Order) bool { return o.Settled() }, "settle")
	expect(a, "status of the order", status, order.Status)
	expect(a, "reason of the order", reason, order.Reason)
	return order
}

// reaches waits until wanted accepts the order. A settled order changes no more, except by a cancellation. So
// one that wanted does not accept ends the wait at once. what completes the sentence "order X should …".
func (a *act) reaches(orderID string, wanted func(client.Order) bool, what string) client.Order {
	var order client.Order
	a.until(fmt.Sprintf("order %s should %s", orderID, what), func(ctx context.Context) error {
		var err error
		if order, err = a.env.Client.Order(ctx, orderID, 0); err != nil {
			return err
		}
		if wanted(order) {
			return nil
		}
		if order.Settled() {
			return hopeless("it ended %s %s", order.Status, order.Reason)
		}
		return fmt.Errorf("it is %s", order.Status)
	})
	return order
}

// show collects the watched orders, their timelines and emails. A part that cannot be read stays empty: the
// output must not hide the scenario's own error.
func (a *act) show() []Shown {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), showTime)
	defer cancel()
	shown := make([]Shown, 0, len(a.orders))
	for _, id := range a.orders {
		s := Shown{OrderID: id, Timeline: []client.Event{}, Emails: []stack.Email{}}
		if order, err := a.env.Client.Order(ctx, id, 0); err == nil {
			s.Order = &order
		}
		if timeline, err := a.env.Client.Timeline(ctx, id); err == nil {
			s.Timeline = timeline
		}
		if emails, err := a.emailsOf(ctx, id); err == nil {
			s.Emails = emails
		}
		shown = append(shown, s)
	}
	return shown
}
