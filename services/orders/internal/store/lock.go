package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/services/orders/internal/domain"
)

const lockOrdersSQL = `SELECT ` + orderColumns + ` FROM orders WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE`

// An order that does not exist has no row to lock. Whoever makes one, or decides that there is none, holds the lock of
// its name. The names are locked in one order, so that two batches cannot wait for each other.
const lockNamesSQL = `SELECT pg_advisory_xact_lock(name) FROM (
  SELECT DISTINCT hashtextextended('pasdetrois.orders.order:' || id, 0) AS name FROM unnest($1::text[]) AS id ORDER BY name
) AS names`

// LockOrders implements app.Tx.
func (t *transaction) LockOrders(ctx context.Context, ids []string) (map[string]*domain.Order, error) {
	orders, err := readOrders(ctx, t.tx, ids, lockOrdersSQL, ids)
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	found := byID(orders)
	var missing []string
	for _, id := range ids {
		if found[id] == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	if _, err := t.tx.Exec(ctx, lockNamesSQL, missing); err != nil {
		return nil, fmt.Errorf("lock names of orders: %w", err)
	}
	// Somebody may have made one while we waited for its name.
	late, err := readOrders(ctx, t.tx, missing, lockOrdersSQL, missing)
	if err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	for _, o := range late {
		found[o.ID] = o
	}
	return found, nil
}

const dueOrdersSQL = `SELECT ` + orderColumns + ` FROM orders WHERE status = $1 AND due_at <= $2
ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED`

// DueOrders implements app.Tx.
func (t *transaction) DueOrders(ctx context.Context, status domain.Status, now time.Time, limit int) ([]*domain.Order, error) {
	rows, err := t.tx.Query(ctx, dueOrdersSQL, status, now, limit)
	if err != nil {
		return nil, fmt.Errorf("read due orders: %w", err)
	}
	orders, err := pgx.CollectRows(rows, scanOrder)
	if err != nil {
		return nil, fmt.Errorf("read due orders: %w", err)
	}
	if len(orders) == 0 {
		return nil, nil
	}
	ids := make([]string, len(orders))
	for i, o := range orders {
		ids[i] = o.ID
	}
	if rows, err = t.tx.Query(ctx, linesSQL, ids); err == nil {
		err = addLines(byID(orders), rows)
	}
	if err != nil {
		return nil, fmt.Errorf("read lines of due orders: %w", err)
	}
	return orders, nil
}

const productColumns = `sku, name, price_minor, currency, available, reserved, sold, stocked`

func scanProduct(row pgx.CollectableRow) (p domain.Product, err error) {
	err = row.Scan(fieldsOf(&p)...)
	return p, err
}

// fieldsOf returns where productColumns go.
func fieldsOf(p *domain.Product) []any {
	return []any{&p.SKU, &p.Name, &p.Price.Minor, &p.Price.Currency, &p.Available, &p.Reserved, &p.Sold, &p.Stocked}
}

// newestSQL finds each product at the end of its versions. All others that stand in the index are of the past: as many as
// changes since the oldest open transaction began.
const newestSQL = `SELECT ` + productColumns + `, version FROM unnest($1::text[]) WITH ORDINALITY AS wanted (wanted_sku, place)
CROSS JOIN LATERAL (SELECT * FROM inventory WHERE sku = wanted_sku ORDER BY version DESC LIMIT 1 %s) AS newest ORDER BY place`

var (
	catalogueSQL    = fmt.Sprintf(newestSQL, "")
	lockProductsSQL = fmt.Sprintf(newestSQL, "FOR UPDATE")
)

// LockProducts implements app.Tx.
func (t *transaction) LockProducts(ctx context.Context, skus []string) (domain.Stock, error) {
	return t.products(ctx, lockProductsSQL, skus)
}

// Catalogue implements app.Tx.
func (t *transaction) Catalogue(ctx context.Context, skus []string) (domain.Stock, error) {
	if len(skus) == 0 {
		return domain.Stock{}, nil
	}
	return t.products(ctx, catalogueSQL, skus)
}

func (t *transaction) products(ctx context.Context, sql string, skus []string) (domain.Stock, error) {
	rows, err := t.tx.Query(ctx, sql, skus)
	if err != nil {
		return nil, fmt.Errorf("read products: %w", err)
	}
	if t.versions == nil {
		t.versions = make(map[string]int64, len(skus))
	}
	products, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p domain.Product, err error) {
		var version int64
		err = row.Scan(append(fieldsOf(&p), &version)...)
		t.versions[p.SKU] = version
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read products: %w", err)
	}
	stock := make(domain.Stock, len(products))
	for i := range products {
		stock[products[i].SKU] = &products[i]
	}
	return stock, nil
}
