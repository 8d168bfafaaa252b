package arm

import (
	"context"
	"fmt"
)

// NoOp is a handler that parses an order, stores nothing and answers 202: the limit of HTTP on this machine.
func NoOp() Arm { return taker("noop") }

// Transaction is a handler that stores each order in a transaction of its own, as a service without coalescing
// does.
func Transaction() Arm { return taker("transaction") }

// taker is this program as an HTTP handler, which is the first step of an order alone. It has no emails.
func taker(kind string) Arm {
	return Arm{Name: kind, Start: func(ctx context.Context, e Env) (*Running, error) {
		r := &Running{database: e.database, audit: func(context.Context, int, int) error { return nil }}
		if kind == "transaction" {
			if err := e.Migrate(ctx); err != nil {
				return nil, err
			}
			r.audit = r.auditStored
		}
		addresses, release, err := reserve(1)
		if err != nil {
			return nil, err
		}
		defer release()
		r.public = addresses
		err = r.start(e, kind, "bench", addresses[0], []string{"HTTP_ADDR=" + addresses[0], "DATABASE_URL=" + e.As("orders")}, "-serve", kind)
		return r.ready(ctx, []string{"http://" + addresses[0] + "/healthz"}, err)
	}}
}

// auditStored returns nil when exactly this many orders are stored.
func (r *Running) auditStored(ctx context.Context, orders, _ int) error {
	stored, err := r.Count(ctx, `SELECT count(*) FROM orders.orders`)
	if err == nil && stored != int64(orders) {
		err = fmt.Errorf("the audit failed: %d of %d orders are stored", stored, orders)
	}
	return err
}
