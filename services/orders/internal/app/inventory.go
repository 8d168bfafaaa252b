package app

import (
	"context"

	"pasdetrois/pkg/messages"
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

// PutProduct creates a product without pieces, or changes its name and price. Orders that were priced before keep their
// prices. The price must be more than 0.
func (a *App) PutProduct(ctx context.Context, sku, name string, price messages.Money) (p domain.Product, created bool, err error) {
	return a.cfg.Store.PutProduct(ctx, sku, name, price)
}

// Restock adds pieces to a product and returns the answer that render makes of the product, or ErrNotFound. With a key it adds
// them once: a repetition gets the first answer, and replayed is true. Errors: ErrKeyBusy, ErrKeyReused. After any error no
// piece is added and the key stays free.
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
		if answer, err = render(p); err != nil || key == nil {
			return err
		}
		w.out.Answers = append(w.out.Answers, KeptAnswer{Idempotency: *key, Answer: answer})
		return nil
	})
	return answer, replayed, err
}
