package app

import (
	"context"

	"pasdetrois/services/orders/internal/domain"
)

// sweepSize is how many rows one sweep takes at a time; a sweep that got as many goes on at once.
const sweepSize = 100

// ExpirePayments calls off orders whose payment stayed open for longer than Policy.PaymentTimeout: the money is asked
// back, and when payments has answered the order fails with payment_timeout. It returns how many it looked at: call it
// again while that is more than 0. Any number of replicas may sweep at the same time.
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
