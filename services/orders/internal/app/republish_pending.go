package app

import (
	"context"

	"pasdetrois/services/orders/internal/domain"
)

// RepublishPending publishes the message of stuck orders again: order_placed for orders that stay pending for too long, and
// refund_requested for orders that stay cancelling. The messages and their ids are the same. The pause doubles each time. It
// returns the number of orders: call it again while that is more than 0.
//
// While the outbox cannot publish at all nothing is republished: more messages would not help. One message that is stuck in
// the outbox does not stop this, since other orders may need it.
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
		a.cfg.Log.Warn("message of a stuck order published again", "order_id", o.ID, "status", string(status), "attempt", o.Nudges)
	}
	a.cfg.Metrics.republished.WithLabelValues(string(status)).Add(float64(len(due)))
	return len(due), nil
}
