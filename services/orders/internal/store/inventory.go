package store

import (
	"context"
	"fmt"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/domain"
)

const productsSQL = `SELECT ` + productColumns + ` FROM inventory ORDER BY sku`

// Products implements app.Store.
func (s *Store) Products(ctx context.Context) ([]domain.Product, error) {
	products, err := pgdb.Collect(ctx, s.pool, scanProduct, productsSQL)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return products, nil
}

const productSQL = `SELECT ` + productColumns + ` FROM inventory WHERE sku = $1`

// Product implements app.Store.
func (s *Store) Product(ctx context.Context, sku string) (domain.Product, error) {
	return oneProduct(ctx, s.pool, "read product", productSQL, sku)
}

// oneProduct runs a statement whose first parameter is the sku, and which returns productColumns. No row means ErrNotFound; what
// names the operation in the error.
func oneProduct(ctx context.Context, db pgdb.Querier, what, sql, sku string, args ...any) (domain.Product, error) {
	p, err := pgdb.CollectOne(ctx, db, scanProduct, sql, append([]any{sku}, args...)...)
	if err != nil {
		return domain.Product{}, fmt.Errorf("%s %s: %w", what, sku, notFound(err))
	}
	return p, nil
}

// A product that does not exist has no row to lock. The lock of its name, which the trigger inventory_sku_once takes as well, keeps
// two transactions from making it.
const lockProductNameSQL = `SELECT pg_advisory_xact_lock(hashtextextended('pasdetrois.orders.product:' || $1::text, 0))`

// A new product has no pieces, and a changed one keeps its pieces.
const putProductSQL = `WITH changed AS (
  UPDATE inventory SET name = $2, price_minor = $3, currency = $4, version = version + 1, announced = true WHERE sku = $1
  RETURNING ` + productColumns + `
), made AS (
  INSERT INTO inventory (sku, name, price_minor, currency, announced) SELECT $1, $2, $3, $4, true
  WHERE NOT EXISTS (SELECT FROM changed)
  RETURNING ` + productColumns + `
)
SELECT false AS created, ` + productColumns + ` FROM changed UNION ALL SELECT true, ` + productColumns + ` FROM made`

// PutProduct implements app.Tx.
func (t *transaction) PutProduct(ctx context.Context, sku, name string, price messages.Money) (p domain.Product, created bool, err error) {
	if _, err = t.tx.Exec(ctx, lockProductNameSQL, sku); err == nil {
		err = t.tx.QueryRow(ctx, putProductSQL, sku, name, price.Minor, price.Currency).Scan(append([]any{&created}, fieldsOf(&p)...)...)
	}
	if err != nil {
		return p, false, fmt.Errorf("put product %s: %w", sku, err)
	}
	return p, created, nil
}

// The statement locks the row, so it waits for transactions that move the product's pieces.
const restockSQL = `UPDATE inventory SET available = available + $2, stocked = stocked + $2, version = version + 1, announced = true
WHERE sku = $1 RETURNING ` + productColumns

// Restock implements app.Tx.
func (t *transaction) Restock(ctx context.Context, sku string, quantity int64) (domain.Product, error) {
	return oneProduct(ctx, t.tx, "restock product", restockSQL, sku, quantity)
}

// A product that another transaction has locked is skipped: the next sweep finds it.
const announceSQL = `UPDATE inventory SET version = version + 1, announced = true WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM inventory WHERE NOT announced LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING ` + productColumns

// Announce implements app.Tx.
func (t *transaction) Announce(ctx context.Context, limit int) ([]domain.Product, error) {
	products, err := pgdb.Collect(ctx, t.tx, scanProduct, announceSQL, limit)
	if err != nil {
		return nil, fmt.Errorf("read products to announce: %w", err)
	}
	return products, nil
}
