package app

import (
	"context"

	"pasdetrois/services/payments/internal/domain"
)

// decision is what a batch knows about the payment of one order. All messages of the order are answered by it.
type decision struct {
	payment domain.Payment // the order's payment, as it is stored
	isNew   bool           // this batch stored it, and it is not counted yet
	clean   bool           // the provider is known to hold no money of a payment that keeps none
	err     error          // why the order is undecided, or not cleaned up: its messages are redelivered or parked
}

// exists reports whether the order has a payment.
func (d *decision) exists() bool { return d.payment.Status != "" }

// decided returns a decision for each of the orders, with the payment of those that have one.
func (a *App) decided(ctx context.Context, orderIDs []string) (map[string]*decision, error) {
	known, err := a.cfg.Store.Payments(ctx, orderIDs)
	if err != nil {
		return nil, err
	}
	decided := make(map[string]*decision, len(orderIDs))
	for _, id := range orderIDs {
		decided[id] = &decision{payment: known[id]}
	}
	return decided, nil
}

// note writes down what the store has kept.
func note(decided map[string]*decision, kept map[string]Kept) {
	for id, k := range kept {
		decided[id].payment, decided[id].isNew = k.Payment, k.Now
	}
}
