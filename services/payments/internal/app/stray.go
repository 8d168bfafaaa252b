package app

import (
	"context"
	"fmt"

	"pasdetrois/services/payments/internal/domain"
)

// giveBackStray makes sure that the provider holds no money for the orders that must keep none. It looks each of them up,
// and gives back a charge that slipped through. What fails becomes the decision's error, so that the message is redelivered.
func (a *App) giveBackStray(ctx context.Context, decided map[string]*decision) {
	var suspects []*decision
	for _, d := range decided {
		if d.payment.KeepsNoMoney() && !d.clean {
			suspects = append(suspects, d)
		}
	}
	for i, err := range each(ctx, len(suspects), func(ctx context.Context, i int) error {
		return a.giveBack(ctx, suspects[i].payment)
	}) {
		if err != nil {
			suspects[i].err = err
		}
	}
}

func (a *App) giveBack(ctx context.Context, p domain.Payment) error {
	held, err := a.cfg.Provider.Lookup(ctx, ProviderKey(p.OrderID))
	if err != nil {
		return fmt.Errorf("look up a charge for %s order %s: %w", p.Status, p.OrderID, err)
	}
	if !held {
		return nil
	}
	if err := a.cfg.Provider.Refund(ctx, ProviderKey(p.OrderID)); err != nil {
		return fmt.Errorf("give back the charge of %s order %s: %w", p.Status, p.OrderID, err)
	}
	a.cfg.Metrics.strays.Inc()
	a.cfg.Log.Warn("charge that slipped through given back", "order_id", p.OrderID, "status", string(p.Status))
	return nil
}
