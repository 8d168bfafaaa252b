package app

import (
	"context"

	"pasdetrois/services/orders/internal/domain"
)

// RepublishPending publishes order_placed again for orders that stay pending for too long, and refund_requested for
// those that stay cancelling: the same messages with the same ids. The time between two attempts doubles each time. It
// returns how many there were: call it again while that is more than 0.
//
// While the outbox cannot publish at all nothing is republished: more messages would not help. One message that stays in
// it does not stop this: the orders of others may still need it.
func (a *App) RepublishPending(ctx context.Context) (int, error) {
	since, err := a.cfg.Store.OutboxStuck(ctx)
	if err != nil {
		return 0, err
	}
	if !since.IsZero() && a.now().Sub(since) >= a.cfg.Policy.RepublishAfter {
		return 0, nil
	}
	total := 0
	for _, status := range []domain.Status{domain.Pending, domain.Cancelling} {
		n, err := a.republish(ctx, status)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (a *App) republish(ctx context.Context, status domain.Status) (int, error) {
	var due []*domain.Order
	_, err := a.inWork(ctx, func(ctx context.Context, w *work) error {
		var err error
		if due, err = w.tx.DueOrders(ctx, status, w.now, sweepSize); err != nil {
			return err
		}
		for _, o := range due {
			w.outbox(outputs(o)...)
			o.Nudged(a.cfg.Policy, w.now)
			w.out.Orders = append(w.out.Orders, o)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, o := range due {
		a.cfg.Log.Warn("published again for an order that does not get on", "order_id", o.ID, "status", string(status), "attempt", o.Nudges)
	}
	a.cfg.Metrics.republished.WithLabelValues(string(status)).Add(float64(len(due)))
	return len(due), nil
}
