package arm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"pasdetrois/bench/load"
	"pasdetrois/bench/process"
	"pasdetrois/pkg/platform/pgdb"
)

// Taker takes orders and does nothing more with them: the first step alone.
type Taker struct {
	books
	processes []*process.Process
	target    func(sku func(int) string) load.Target
	keeps     bool
}

// NoOp is a handler that reads an order and answers 202.
func NoOp(ctx context.Context, e Env) (*Taker, error) { return handler(ctx, e, "noop", false) }

// Transaction is a handler that keeps each order in a transaction of its own.
func Transaction(ctx context.Context, e Env) (*Taker, error) {
	return handler(ctx, e, "transaction", true)
}

// handler starts this program again, as a handler.
func handler(ctx context.Context, e Env, kind string, keeps bool) (*Taker, error) {
	t := &Taker{books: books{e.Plot.AdminURL}, keeps: keeps}
	if keeps {
		if err := Stock(ctx, e.Plot.AdminURL); err != nil {
			return nil, err
		}
	}
	addresses, release, err := reserve(1)
	if err != nil {
		return nil, err
	}
	defer release()
	p, err := process.Start(process.Spec{Name: kind, Path: filepath.Join(e.Bin, "bench"), Args: []string{"-serve", kind}, Logs: e.Logs,
		Env: []string{"HTTP_ADDR=" + addresses[0], "DATABASE_URL=" + pgdb.As(e.Plot.AdminURL, "orders")}})
	if err != nil {
		return nil, err
	}
	t.processes = []*process.Process{p}
	t.target = func(sku func(int) string) load.Target {
		return load.Target{Addresses: addresses, Body: func(n int) []byte { return body(n, sku(n)) }}
	}
	if err := awaitReady(ctx, t.processes, "http://"+addresses[0]+"/healthz"); err != nil {
		return nil, errors.Join(err, t.Stop())
	}
	return t, nil
}

// OrdersAlone is the product's orders service without the others: it takes orders, publishes them, sets their stock aside
// and asks for their payment, which nobody answers.
func OrdersAlone(ctx context.Context, e Env) (*Taker, error) {
	r, err := StartPas(ctx, e, "orders")
	if err != nil {
		return nil, err
	}
	return &Taker{books: r.books, processes: r.processes, target: r.Target, keeps: true}, nil
}

// Target takes orders.
func (t *Taker) Target(sku func(int) string) load.Target { return t.target(sku) }

// Processes are its programs.
func (t *Taker) Processes() []*process.Process { return t.processes }

// Stop ends them.
func (t *Taker) Stop() error { return process.StopAll(t.processes) }

const keptSQL = `SELECT count(*) FROM orders.orders`

// Check returns nil when orders orders are kept, where they are to be.
func (t *Taker) Check(ctx context.Context, orders int) error {
	if !t.keeps {
		return nil
	}
	var kept int
	if err := t.read(ctx, []any{&kept}, func() {}, keptSQL); err != nil {
		return err
	}
	if kept != orders {
		return fmt.Errorf("the audit failed: %d of %d orders are kept", kept, orders)
	}
	return nil
}
