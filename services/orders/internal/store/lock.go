package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// Rows are locked in the order of their ids. So two batches with the same orders do not wait for each other in a circle.
// Postgres undoes one side of a deadlock that happens all the same, and pgdb.InTx repeats that transaction.
const (
	lockOrdersSQL  = `SELECT ` + orderColumns + ` FROM orders WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE`
	lockOrderOfSQL = `SELECT ` + orderColumns + ` FROM orders WHERE order_id = ANY($1) AND user_id = nullif($2, '') FOR UPDATE`
)

var (
	lockAny = reading{lockOrdersSQL, linesSQL}
	lockOf  = reading{lockOrderOfSQL, linesOfSQL}
)

// An order that does not exist has no row to lock. A transaction that makes one, or decides that it does not exist, holds the
// lock of its name. Names are locked in sorted order, so that two batches cannot wait for each other.
const lockNamesSQL = `SELECT pg_advisory_xact_lock(name) FROM (
  SELECT DISTINCT hashtextextended('pasdetrois.orders.order:' || id, 0) AS name FROM unnest($1::text[]) AS id ORDER BY name
) AS names`

// LockOrders implements app.Tx. It takes one round trip when all orders exist, which is the usual case, and two otherwise. The
// second one reads the missing orders again, since another transaction may have committed one meanwhile, and their tombstones.
func (t *transaction) LockOrders(ctx context.Context, ids []string) (map[string]*domain.Order, error) {
	return t.lockOrders(ctx, lockAny, ids)
}

// LockOrderOf implements app.Tx. The row of another user is not locked: a request of one user delays no step of another's order.
func (t *transaction) LockOrderOf(ctx context.Context, user, id string) (map[string]*domain.Order, error) {
	return t.lockOrders(ctx, lockOf, []string{id}, user)
}

func (t *transaction) lockOrders(ctx context.Context, sql reading, ids []string, only ...any) (map[string]*domain.Order, error) {
	found := make(map[string]*domain.Order, len(ids))
	keep := func(orders []*domain.Order) {
		for _, o := range orders {
			found[o.ID] = o
		}
	}
	var batch pgx.Batch
	queueRead(&batch, keep, sql, ids, ids, only...)
	if err := t.tx.Send(ctx, &batch); err != nil {
		return nil, fmt.Errorf("lock orders: %w", err)
	}
	var missing []string
	for _, id := range ids {
		if found[id] == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	var late pgx.Batch
	late.Queue(lockNamesSQL, missing)
	queueRead(&late, keep, sql, missing, missing, only...) // after the wait for the names
	t.removed = make(map[[16]byte]bool)
	queueRemoved(&late, missing, t.removed)
	if err := t.tx.Send(ctx, &late); err != nil {
		return nil, fmt.Errorf("lock names of orders: %w", err)
	}
	return found, nil
}

const dueOrdersSQL = `SELECT ` + orderColumns + ` FROM orders WHERE status = $1 AND due_at <= $2
ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED`

// DueOrders implements app.Tx. An order that another transaction has locked is skipped: either that transaction moves it on, or
// the next sweep finds it. The lines need no lock, because they never change.
func (t *transaction) DueOrders(ctx context.Context, status domain.Status, now time.Time, limit int) ([]*domain.Order, error) {
	orders, err := pgdb.Collect(ctx, t.tx, scanOrder, dueOrdersSQL, status, now, limit)
	if err != nil {
		return nil, fmt.Errorf("read due orders: %w", err)
	}
	if len(orders) == 0 {
		return nil, nil
	}
	rows, err := t.tx.Query(ctx, linesSQL, pgdb.Column(orders, orderID))
	if err == nil {
		err = addLines(byID(orders), rows)
	}
	if err != nil {
		return nil, fmt.Errorf("read lines of due orders: %w", err)
	}
	return orders, nil
}

const productColumns = `sku, name, price_minor, currency, available, reserved, sold, stocked, version`

// scanProduct reads a row of productColumns.
func scanProduct(row pgx.CollectableRow) (p domain.Product, err error) {
	err = row.Scan(fieldsOf(&p)...)
	return p, err
}

// fieldsOf returns the targets of productColumns.
func fieldsOf(p *domain.Product) []any {
	return []any{&p.SKU, &p.Name, &p.Price.Minor, &p.Price.Currency, &p.Available, &p.Reserved, &p.Sold, &p.Stocked, &p.Version}
}

// newestSQL finds each product at the end of its versions in the index. The index also has dead versions: one for each change
// since the oldest open transaction began.
const newestSQL = `SELECT ` + productColumns + ` FROM unnest($1::text[]) WITH ORDINALITY AS wanted (wanted_sku, place)
CROSS JOIN LATERAL (SELECT * FROM inventory WHERE sku = wanted_sku ORDER BY version DESC LIMIT 1 %s) AS newest ORDER BY place`

var (
	catalogueSQL    = fmt.Sprintf(newestSQL, "")
	lockProductsSQL = fmt.Sprintf(newestSQL, "FOR UPDATE")
)

// LockProducts implements app.Tx. The skus are sorted by the caller, and the join keeps their order. One round trip fetches the
// products and the held messages, because use cases need both at the same moment.
func (t *transaction) LockProducts(ctx context.Context, skus, orderIDs []string) (domain.Stock, []app.Held, error) {
	stock := make(domain.Stock, len(skus))
	var held []app.Held
	var batch pgx.Batch
	if len(skus) > 0 {
		t.queueProducts(&batch, stock, lockProductsSQL, skus)
	}
	if len(orderIDs) > 0 {
		batch.Queue(heldSQL, orderIDs).Query(func(rows pgx.Rows) (err error) {
			held, err = pgx.CollectRows(rows, scanHeld)
			return err
		})
	}
	if err := t.tx.Send(ctx, &batch); err != nil {
		return nil, nil, fmt.Errorf("lock products: %w", err)
	}
	return stock, held, nil
}

// Catalogue implements app.Tx. It locks nothing: a price may change right after, and the order keeps the price that was read.
func (t *transaction) Catalogue(ctx context.Context, skus []string) (domain.Stock, error) {
	stock := make(domain.Stock, len(skus))
	if len(skus) == 0 {
		return stock, nil
	}
	var batch pgx.Batch
	t.queueProducts(&batch, stock, catalogueSQL, skus)
	if err := t.tx.Send(ctx, &batch); err != nil {
		return nil, fmt.Errorf("read products: %w", err)
	}
	return stock, nil
}

// queueProducts queues one of the queries for the newest versions of products, and puts them into stock. It notes the versions
// in the transaction, for moveStockSQL.
func (t *transaction) queueProducts(batch *pgx.Batch, stock domain.Stock, sql string, skus []string) {
	if t.versions == nil {
		t.versions = make(map[string]int64, len(skus))
	}
	batch.Queue(sql, skus).Query(func(rows pgx.Rows) error {
		var p domain.Product
		_, err := pgx.ForEachRow(rows, fieldsOf(&p), func() error {
			product := p
			stock[p.SKU], t.versions[p.SKU] = &product, p.Version
			return nil
		})
		return err
	})
}
