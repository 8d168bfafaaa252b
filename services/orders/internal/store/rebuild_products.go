package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/rebuild"
)

// product is a product to write.
type product struct {
	messages.InventoryChanged

	version int64 // of the row to write
	isNew   bool
}

// changeOf returns the change of a product that the message tells. Only the orders service changes products.
func changeOf(m messages.Message) (e messages.InventoryChanged, ok bool) {
	e, ok = m.Event.(messages.InventoryChanged)
	return e, ok && m.Source == messages.ServiceOrders
}

// stockRow is a product as it is stored.
type stockRow struct {
	name                             string
	price                            messages.Money
	reserved, sold, stocked, version int64
	announced, unpublished           bool // unpublished: its change is in the outbox
}

// isChangeSQL reports whether a row of the outbox is the change of a product.
const isChangeSQL = `position(convert_to('"event":"inventory_changed"', 'UTF8') IN value) > 0`

const stockRowsSQL = `SELECT sku, name, price_minor, currency, reserved, sold, stocked, version, announced, EXISTS (
  SELECT FROM outbox WHERE key = convert_to(sku, 'UTF8') AND ` + isChangeSQL + `)
FROM inventory WHERE sku = ANY($1)`

// foldProducts notes the products that are not what their last inventory_changed says. It has the highest version. A product whose
// newer change is still to be published stays. An older one in the outbox is that of a restored backup.
func (f *folding) foldProducts(ctx context.Context, stories []rebuild.Story) error {
	if len(stories) == 0 {
		return nil
	}
	rows, err := f.tx.Query(ctx, stockRowsSQL, pgdb.Column(stories, func(s rebuild.Story) string { return strings.TrimPrefix(s.Key, productPrefix) }))
	if err != nil {
		return fmt.Errorf("read products: %w", err)
	}
	found := make(map[string]stockRow)
	var sku string
	var p stockRow
	_, err = pgx.ForEachRow(rows, []any{&sku, &p.name, &p.price.Minor, &p.price.Currency, &p.reserved, &p.sold, &p.stocked, &p.version, &p.announced, &p.unpublished},
		func() error {
			found[sku] = p
			return nil
		})
	if err != nil {
		return fmt.Errorf("read products: %w", err)
	}
	for _, s := range stories {
		f.foldProduct(s, found)
	}
	return nil
}

func (f *folding) foldProduct(s rebuild.Story, rows map[string]stockRow) {
	var last messages.InventoryChanged
	for _, r := range s.Records {
		if e, ok := changeOf(r.Message); ok && e.Version >= last.Version {
			last = e
		}
	}
	row, exists := rows[last.SKU]
	switch {
	case last.SKU == "", row.version > last.Version && (row.unpublished || exists && !row.announced): // the topic is still to have it
		return
	case exists && row.name == last.Name && row.price == last.Price && row.stocked >= last.Stocked && (row.stocked == last.Stocked || row.isProven()):
		if row.version < last.Version || !row.announced { // the next change must have a higher one
			f.products = append(f.products, product{InventoryChanged: messages.InventoryChanged{SKU: last.SKU, Name: row.name, Price: row.price,
				Stocked: row.stocked}, version: max(row.version+1, last.Version)})
		}
		return
	}
	found := rebuild.Finding{Kind: rebuild.Differs, Key: last.SKU, Story: s.Key, Is: fmt.Sprintf("%q at %s, %d pieces", last.Name, last.Price, last.Stocked), At: s.Records[0].Time}
	if exists {
		found.Was = fmt.Sprintf("%q at %s, %d pieces", row.name, row.price, row.stocked)
	}
	f.findings = append(f.findings, found)
	last.Stocked = max(last.Stocked, row.reserved+row.sold) // Finish counts them
	f.products = append(f.products, product{InventoryChanged: last, version: max(row.version, last.Version) + 1, isNew: !exists})
}

// isProven reports whether every piece of the product is held by an order: Finish then made it so.
func (p stockRow) isProven() bool { return p.stocked == p.reserved+p.sold }

const addProductsSQL = `INSERT INTO inventory (sku, name, price_minor, currency, stocked, available, version, announced)
SELECT sku, name, price, currency, stocked, stocked, version, true
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[]) AS u (sku, name, price, currency, stocked, version)`

const setProductsSQL = `UPDATE inventory AS i SET name = u.name, price_minor = u.price, currency = u.currency, stocked = u.stocked,
  available = u.stocked - i.reserved - i.sold, version = u.version, announced = true
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[]) AS u (sku, name, price, currency, stocked, version)
WHERE i.sku = u.sku`

// queueProducts queues the insert and the update of products.
func (f *folding) queueProducts(batch *pgx.Batch) {
	var added, changed []product
	for _, p := range f.products {
		if p.isNew {
			added = append(added, p)
		} else {
			changed = append(changed, p)
		}
	}
	queue := func(sql string, list []product) {
		if len(list) > 0 {
			batch.Queue(sql,
				pgdb.Column(list, func(p product) string { return p.SKU }),
				pgdb.Column(list, func(p product) string { return p.Name }),
				pgdb.Column(list, func(p product) int64 { return p.Price.Minor }),
				pgdb.Column(list, func(p product) string { return p.Price.Currency }),
				pgdb.Column(list, func(p product) int64 { return p.Stocked }),
				pgdb.Column(list, func(p product) int64 { return p.version }))
		}
	}
	queue(addProductsSQL, added)
	queue(setProductsSQL, changed)
}
