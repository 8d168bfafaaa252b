package app

import (
	"context"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

// Products returns the whole catalogue, by sku.
func (a *App) Products(ctx context.Context) ([]domain.Product, error) { return a.Store.Products(ctx) }

// Product returns one product, or ErrNotFound.
func (a *App) Product(ctx context.Context, sku string) (domain.Product, error) {
	return a.Store.Product(ctx, sku)
}

// PutProduct creates a product without pieces, or changes its name and price. Orders that were priced before keep their
// prices. The price must be more than 0.
func (a *App) PutProduct(ctx context.Context, sku, name string, price messages.Money) (p domain.Product, created bool, err error) {
	return a.Store.PutProduct(ctx, sku, name, price)
}

// Restock adds pieces to a product and returns it, or ErrNotFound.
func (a *App) Restock(ctx context.Context, sku string, quantity int64) (domain.Product, error) {
	return a.Store.Restock(ctx, sku, quantity)
}
