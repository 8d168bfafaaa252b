package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/rebuild"
)

// finishWithinSQL gives each statement of Finish ten minutes, because it reads all orders.
const finishWithinSQL = `SELECT set_config('statement_timeout', '10min', true)`

// stockSQL returns each product, and the pieces that the orders hold of it, with what removed ones have sold.
const stockSQL = `WITH held AS (
  SELECT l.sku, coalesce(sum(l.quantity) FILTER (WHERE o.stock = 'reserved'), 0) AS reserved,
    coalesce(sum(l.quantity) FILTER (WHERE o.stock = 'sold'), 0) AS sold
  FROM orders o JOIN order_lines l USING (order_id) WHERE o.stock <> 'none' GROUP BY l.sku
)
SELECT i.sku, i.version, i.reserved, i.sold, i.stocked, coalesce(h.reserved, 0)::bigint,
  (coalesce(h.sold, 0) + coalesce(r.sold, 0))::bigint
FROM inventory i LEFT JOIN held h USING (sku) LEFT JOIN removed_pieces r USING (sku) ORDER BY i.sku COLLATE "C"`

// unknownSQL returns each sku that an order was priced for and that is no product, with the newest of its prices.
const unknownSQL = `SELECT DISTINCT ON (l.sku) l.sku, l.unit_price_minor, o.currency FROM order_lines l JOIN orders o USING (order_id)
WHERE l.unit_price_minor IS NOT NULL AND NOT EXISTS (SELECT FROM inventory i WHERE i.sku = l.sku)
ORDER BY l.sku, o.created_at DESC`

// The product counts as announced: the rebuild made up its name, so no event may publish it.
const addUnknownSQL = `INSERT INTO inventory (sku, name, price_minor, currency, announced)
SELECT sku, sku, price, currency, true FROM unnest($1::text[], $2::bigint[], $3::text[]) AS u (sku, price, currency)`

// Only a product with too few pieces gets another stocked. The trigger marks a product as announced when stocked is set.
const setStockSQL = `WITH changed AS (
  UPDATE inventory AS i SET reserved = u.reserved, sold = u.sold, available = u.stocked - u.reserved - u.sold, version = i.version + 1
  FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS u (sku, version, reserved, sold, stocked)
  WHERE i.sku = u.sku AND i.version = u.version
  RETURNING 1
)
SELECT must_change(count(*), cardinality($1::text[]), 'a product') FROM changed`

var setAllStockSQL = strings.Replace(setStockSQL, "SET reserved", "SET stocked = u.stocked, reserved", 1)

// counted is a product's row and what the orders hold of it.
type counted struct {
	sku                     string
	version                 int64
	reserved, sold, stocked int64
	held                    pieces
}

// least returns the pieces that the product must have had: what the orders prove counts, even if they prove too much.
func (c counted) least() int64 { return max(c.stocked, c.held.reserved+c.held.sold) }

func (c counted) isRight() bool { return c.reserved == c.held.reserved && c.sold == c.held.sold }

// Finish implements rebuild.State: it makes the pieces of each product what the orders hold. The pieces that were ever added are
// known from inventory_changed, or from the row.
func (r *Rebuilder) Finish(ctx context.Context, write bool) ([]rebuild.Finding, error) {
	var findings []rebuild.Finding
	err := pgdb.InTx(ctx, r.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		findings = nil
		if _, err := tx.Exec(ctx, finishWithinSQL); err != nil {
			return err
		}
		unknown, err := r.addUnknown(ctx, tx, write)
		if err != nil {
			return err
		}
		findings = append(findings, unknown...)
		wrong, err := r.wrongStock(ctx, tx, write)
		if err != nil {
			return err
		}
		for _, c := range wrong {
			findings = append(findings, c.findings()...)
		}
		var batch pgx.Batch
		if write {
			queueWrong(&batch, wrong)
		}
		if err := tx.Finish(ctx, &batch); err != nil {
			return fmt.Errorf("set stock: %w", err)
		}
		return nil
	})
	return findings, err
}

// queueWrong queues the updates of products whose pieces are wrong.
func queueWrong(batch *pgx.Batch, wrong []counted) {
	var enough, short []counted
	for _, c := range wrong {
		if c.least() == c.stocked {
			enough = append(enough, c)
		} else {
			short = append(short, c)
		}
	}
	queue := func(sql string, list []counted) {
		if len(list) > 0 {
			batch.Queue(sql,
				pgdb.Column(list, func(c counted) string { return c.sku }),
				pgdb.Column(list, func(c counted) int64 { return c.version }),
				pgdb.Column(list, func(c counted) int64 { return c.held.reserved }),
				pgdb.Column(list, func(c counted) int64 { return c.held.sold }),
				pgdb.Column(list, counted.least))
		}
	}
	queue(setStockSQL, enough)
	queue(setAllStockSQL, short)
}

// wrongStock returns the products whose pieces are wrong. In a dry run the orders that would change count as changed.
func (r *Rebuilder) wrongStock(ctx context.Context, tx *pgdb.Tx, write bool) ([]counted, error) {
	rows, err := tx.Query(ctx, stockSQL)
	if err != nil {
		return nil, fmt.Errorf("count stock: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c counted, err error) {
		err = row.Scan(&c.sku, &c.version, &c.reserved, &c.sold, &c.stocked, &c.held.reserved, &c.held.sold)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("count stock: %w", err)
	}
	if !write {
		all = r.planned(all)
	}
	var wrong []counted
	for _, c := range all {
		if !c.isRight() {
			wrong = append(wrong, c)
		}
	}
	return wrong, nil
}

// planned returns the products as they would be after a rebuild, for a dry run.
func (r *Rebuilder) planned(all []counted) []counted {
	added := maps.Clone(r.stocked)
	for i := range all {
		c := &all[i]
		if stocked, ok := r.stocked[c.sku]; ok {
			c.stocked = stocked
		}
		delete(added, c.sku)
	}
	for sku, stocked := range added {
		all = append(all, counted{sku: sku, stocked: stocked})
	}
	for i := range all {
		c := &all[i]
		c.held.reserved += r.moved[c.sku].reserved
		c.held.sold += r.moved[c.sku].sold
	}
	slices.SortFunc(all, func(a, b counted) int { return strings.Compare(a.sku, b.sku) })
	return all
}

func (c counted) findings() []rebuild.Finding {
	found := rebuild.Finding{Kind: rebuild.Differs, Key: c.sku, Was: inPieces(c.reserved, c.sold, c.stocked),
		Is: inPieces(c.held.reserved, c.held.sold, c.least())}
	list := []rebuild.Finding{found}
	if c.least() > c.stocked {
		found.Kind, found.Why = rebuild.Unknown, "the orders hold more pieces than were ever added"
		found.Do = "count the pieces, and add them with POST /inventory/{sku}/restock of the admin address"
		list = append(list, found)
	}
	return list
}

func inPieces(reserved, sold, stocked int64) string {
	return fmt.Sprintf("%d reserved, %d sold, %d available of %d", reserved, sold, stocked-reserved-sold, stocked)
}

// addUnknown makes a product of each sku that was sold and that neither the topics nor the catalogue have. Without it, orders for
// the sku would be rejected as unknown.
func (r *Rebuilder) addUnknown(ctx context.Context, tx *pgdb.Tx, write bool) ([]rebuild.Finding, error) {
	rows, err := tx.Query(ctx, unknownSQL)
	if err != nil {
		return nil, fmt.Errorf("find unknown products: %w", err)
	}
	var findings []rebuild.Finding
	var skus, currencies []string
	var prices []int64
	var price messages.Money
	var sku string
	_, err = pgx.ForEachRow(rows, []any{&sku, &price.Minor, &price.Currency}, func() error {
		skus, prices, currencies = append(skus, sku), append(prices, price.Minor), append(currencies, price.Currency)
		findings = append(findings, rebuild.Finding{Kind: rebuild.Unknown, Key: sku, Is: sku + " at " + price.String() + ", without pieces",
			Why: "it was sold, and no message has its name and its pieces",
			Do:  "set its name and price with PUT /inventory/{sku} of the admin address, count its pieces and restock them"})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find unknown products: %w", err)
	}
	if !write || len(skus) == 0 {
		return findings, nil
	}
	if _, err := tx.Exec(ctx, addUnknownSQL, skus, prices, currencies); err != nil {
		return nil, fmt.Errorf("add unknown products: %w", err)
	}
	return findings, nil
}
