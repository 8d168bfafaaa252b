package app

import (
	"context"

	"pasdetrois/services/orders/internal/domain"
)

// sweepSize is how many rows one transaction of a sweep takes.
const sweepSize = 100

// ExpirePayments cancels orders whose payment stayed open for longer than Policy.PaymentTimeout. It requests their refund, and
// when payments has answered they fail with payment_timeout. It returns how many orders it read: call it again while that is
// more than 0. Any number of replicas may sweep at the same time.
func (a *App) ExpirePayments(ctx context.Context) (int, error) {
	n := 0
	w, err := a.inWork(ctx, func(ctx context.Context, w *work) error {
		due, err := w.tx.DueOrders(ctx, domain.AwaitingPayment, w.now, sweepSize)
		if err != nil {
			return err
		}
		n = len(due)
		for _, o := range due {
			w.add(o)
			effect, err := o.Expire(a.cfg.Policy, w.now)
			if err != nil {
				return err
			}
			if effect == domain.Moved {
				w.outbox(outputs(o)...)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	a.committed(w)
	return n, nil
}
