package app

import (
	"context"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/tracing"
	"pasdetrois/services/orders/internal/domain"
)

// Products returns the whole catalogue, by sku.
func (a *App) Products(ctx context.Context) ([]domain.Product, error) {
	return a.cfg.Store.Products(ctx)
}

// Product returns one product, or ErrNotFound.
func (a *App) Product(ctx context.Context, sku string) (domain.Product, error) {
	return a.cfg.Store.Product(ctx, sku)
}

// PutProduct creates a product without pieces, or changes its name and price, and publishes it. Orders that were priced before
// keep their prices. The price must be more than 0. A repetition publishes the product again, with a higher version.
func (a *App) PutProduct(ctx context.Context, sku, name string, price messages.Money) (p domain.Product, created bool, err error) {
	_, err = a.inWork(ctx, func(ctx context.Context, w *work) error {
		if p, created, err = w.tx.PutProduct(ctx, sku, name, price); err != nil {
			return err
		}
		w.outbox(inventoryChanged(p, w.now, tracing.Parent(ctx)))
		w.audit("product.put", sku, map[string]any{"price": price.Decimal(), "currency": price.Currency, "created": created})
		return nil
	})
	return p, created, err
}

// Restock adds pieces to a product, or returns ErrNotFound. It publishes the product when the contract allows it. The answer is the
// one that render makes of the product. With a key it adds the pieces once: a repetition gets the first answer, and replayed is
// true. Errors: ErrKeyBusy, ErrKeyReused. After any error no piece is added and the key stays free.
func (a *App) Restock(ctx context.Context, sku string, quantity int64, key *Idempotency, render func(domain.Product) (Answer, error)) (answer Answer, replayed bool, err error) {
	_, err = a.inWork(ctx, func(ctx context.Context, w *work) error {
		answer, replayed = Answer{}, false // the transaction may be repeated
		if key != nil {
			claims, err := w.tx.ClaimKeys(ctx, []Idempotency{*key}, w.now)
			if err != nil {
				return err
			}
			switch c := claims[0]; {
			case c.Err != nil:
				return c.Err
			case c.Answer != nil:
				answer, replayed = *c.Answer, true
				return nil
			}
		}
		p, err := w.tx.Restock(ctx, sku, quantity)
		if err != nil {
			return err
		}
		a.publishAllowed(w, inventoryChanged(p, w.now, tracing.Parent(ctx)))
		w.audit("product.restock", sku, map[string]any{"quantity": quantity})
		if answer, err = render(p); err != nil || key == nil {
			return err
		}
		w.out.Answers = append(w.out.Answers, KeptAnswer{Idempotency: *key, Answer: answer})
		return nil
	})
	return answer, replayed, err
}

// AnnounceProducts publishes products that no event tells of: those that an earlier version changed, and those that were inserted
// into the table by hand. It returns their number: call it again while that is more than 0. A product that the contract does not
// allow is logged, and is published with the first change after which the contract allows it.
func (a *App) AnnounceProducts(ctx context.Context) (int, error) {
	n := 0
	_, err := a.inWork(ctx, func(ctx context.Context, w *work) error {
		products, err := w.tx.Announce(ctx, sweepSize)
		if err != nil {
			return err
		}
		n = len(products)
		for _, p := range products {
			a.publishAllowed(w, inventoryChanged(p, w.now, ""))
		}
		return nil
	})
	return n, err
}

// publishAllowed publishes the change of a product that may have been inserted by hand. When the contract does not allow the
// product, it logs that instead.
func (a *App) publishAllowed(w *work, m messages.Message) {
	if err := m.Event.Validate(); err != nil {
		a.cfg.Log.Warn("product is not published: the contract does not allow it", "event", m.Event.EventName(), "message_id", m.ID, "err", err)
		return
	}
	w.outbox(m)
}
