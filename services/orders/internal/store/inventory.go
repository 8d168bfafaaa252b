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

// One statement changes the product or makes it, and reports which: two statements would need a transaction. A new product has no
// pieces, and a changed one keeps its pieces.
const putProductSQL = `WITH changed AS (
  UPDATE inventory SET name = $2, price_minor = $3, currency = $4 WHERE sku = $1 RETURNING ` + productColumns + `
), made AS (
  INSERT INTO inventory (sku, name, price_minor, currency) SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM changed)
  RETURNING ` + productColumns + `
)
SELECT false AS created, ` + productColumns + ` FROM changed UNION ALL SELECT true, ` + productColumns + ` FROM made`

// PutProduct implements app.Store. Two calls for a new sku may both find no product. The second insert then fails as a unique
// violation, and its repetition changes the row.
func (s *Store) PutProduct(ctx context.Context, sku, name string, price messages.Money) (p domain.Product, created bool, err error) {
	put := func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, putProductSQL, sku, name, price.Minor, price.Currency).Scan(append([]any{&created}, fieldsOf(&p)...)...)
	}
	if err = pgdb.Retry(ctx, put); pgdb.IsUniqueViolation(err, "") { // another transaction made it at the same moment
		err = pgdb.Retry(ctx, put)
	}
	if err != nil {
		return p, false, fmt.Errorf("put product %s: %w", sku, err)
	}
	return p, created, nil
}

// The statement locks the row, so it waits for transactions that move the product's pieces.
const restockSQL = `UPDATE inventory SET available = available + $2, stocked = stocked + $2 WHERE sku = $1
RETURNING ` + productColumns

// Restock implements app.Tx.
func (t *transaction) Restock(ctx context.Context, sku string, quantity int64) (domain.Product, error) {
	return oneProduct(ctx, t.tx, "restock product", restockSQL, sku, quantity)
}
