package app

import (
	"context"
	"fmt"
)

// giveBackStray makes sure that the provider holds no money for the orders that must keep none: it looks each up and
// gives back what slipped through. Orders in skip are known to be clean. It returns by order id what could not be
// finished; the message must be delivered again then.
func (a *App) giveBackStray(ctx context.Context, kept map[string]Kept, skip map[string]bool) map[string]error {
	var suspects []string
	for id, p := range kept {
		if p.KeepsNoMoney() && !skip[id] {
			suspects = append(suspects, id)
		}
	}
	failed := make(map[string]error)
	for i, err := range each(ctx, len(suspects), func(ctx context.Context, i int) error {
		return a.giveBack(ctx, kept[suspects[i]])
	}) {
		if err != nil {
			failed[suspects[i]] = err
		}
	}
	return failed
}

func (a *App) giveBack(ctx context.Context, p Kept) error {
	held, err := a.Provider.Lookup(ctx, providerKey(p.OrderID))
	if err != nil {
		return fmt.Errorf("look up a charge for %s order %s: %w", p.Status, p.OrderID, err)
	}
	if !held {
		return nil
	}
	if err := a.Provider.Refund(ctx, providerKey(p.OrderID)); err != nil {
		return fmt.Errorf("give back the charge of %s order %s: %w", p.Status, p.OrderID, err)
	}
	a.Metrics.strays.Inc()
	a.Log.Warn("gave back a charge that slipped through", "order_id", p.OrderID, "status", string(p.Status))
	return nil
}
