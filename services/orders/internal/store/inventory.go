package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

const productsSQL = `SELECT ` + productColumns + ` FROM inventory ORDER BY sku`

// Products implements app.Store.
func (s *Store) Products(ctx context.Context) ([]domain.Product, error) {
	rows, err := s.pool.Query(ctx, productsSQL)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	products, err := pgx.CollectRows(rows, scanProduct)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return products, nil
}

const productSQL = `SELECT ` + productColumns + ` FROM inventory WHERE sku = $1`

// Product implements app.Store.
func (s *Store) Product(ctx context.Context, sku string) (domain.Product, error) {
	return s.oneProduct(ctx, "read product", productSQL, sku)
}

func (s *Store) oneProduct(ctx context.Context, what, sql, sku string, args ...any) (domain.Product, error) {
	rows, err := s.pool.Query(ctx, sql, append([]any{sku}, args...)...)
	if err != nil {
		return domain.Product{}, fmt.Errorf("%s %s: %w", what, sku, err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProduct)
	if err != nil {
		return domain.Product{}, fmt.Errorf("%s %s: %w", what, sku, notFound(err))
	}
	return p, nil
}

// A row that was inserted, and not updated, has no xmax.
const putProductSQL = `INSERT INTO inventory (sku, name, price_minor, currency) VALUES ($1, $2, $3, $4)
ON CONFLICT (sku) DO UPDATE SET name = EXCLUDED.name, price_minor = EXCLUDED.price_minor, currency = EXCLUDED.currency
RETURNING xmax = 0, ` + productColumns

// PutProduct implements app.Store.
func (s *Store) PutProduct(ctx context.Context, sku, name string, price messages.Money) (domain.Product, bool, error) {
	var p domain.Product
	var created bool
	err := s.pool.QueryRow(ctx, putProductSQL, sku, name, price.Minor, price.Currency).Scan(&created, &p.SKU, &p.Name,
		&p.Price.Minor, &p.Price.Currency, &p.Available, &p.Reserved, &p.Sold, &p.Stocked)
	if err != nil {
		return p, false, fmt.Errorf("put product %s: %w", sku, err)
	}
	return p, created, nil
}

const restockSQL = `UPDATE inventory SET available = available + $2, stocked = stocked + $2 WHERE sku = $1
RETURNING ` + productColumns

// Restock implements app.Store.
func (s *Store) Restock(ctx context.Context, sku string, quantity int64) (domain.Product, error) {
	return s.oneProduct(ctx, "restock product", restockSQL, sku, quantity)
}
