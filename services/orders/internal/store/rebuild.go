package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/services/orders/internal/domain"
)

// Rebuilder makes the tables of orders from the topics. It implements rebuild.State: domain.Fold has the rules, and each call of
// Fold is one transaction. No service may run beside it.
//
// Idempotency keys are on no topic. A client that repeats its request after a rebuild gets the order that exists, when it named
// the order's id; without an id it places a second order.
type Rebuilder struct {
	pool   *pgxpool.Pool
	policy domain.Policy
	now    func() time.Time

	aside map[place]aside // records that are dead letters or held messages; nil = not read yet
	// For a dry run: the pieces that orders hold more than their rows say, and the pieces of products that would change.
	moved   map[string]pieces
	stocked map[string]int64
}

// place is where a record is. Offsets begin anew when a topic is made again, so the record's time belongs to it.
type place struct {
	topic     string
	partition int32
	offset    int64
	micros    int64 // of the record's time
}

func placeOf(r rebuild.Record) place {
	return place{r.Topic, r.Partition, r.Offset, r.Written.UnixMicro()}
}

// aside says why the service does not read a record again.
type aside struct {
	parked bool // it is a dead letter that was not replayed; otherwise it was replayed or is a held message
}

// pieces are what orders hold of a product.
type pieces struct{ reserved, sold int64 }

// NewRebuilder returns a rebuilder over the pool's schema.
func NewRebuilder(pool *pgxpool.Pool, policy domain.Policy, now func() time.Time) *Rebuilder {
	return &Rebuilder{pool: pool, policy: policy, now: now, moved: make(map[string]pieces), stocked: make(map[string]int64)}
}

// productPrefix begins the key of a product's story. No order id begins with a space.
const productPrefix = " "

// Key implements rebuild.State: the order's id, or productPrefix and the sku.
func (r *Rebuilder) Key(m messages.Message) string {
	if e, ok := changeOf(m); ok {
		return productPrefix + e.SKU
	}
	if !domain.Tells(m) {
		return ""
	}
	return m.Event.Order()
}

// Fold implements rebuild.State.
func (r *Rebuilder) Fold(ctx context.Context, stories []rebuild.Story, write bool) ([]rebuild.Finding, error) {
	if err := r.readAside(ctx); err != nil {
		return nil, err
	}
	var orders, products []rebuild.Story
	for _, s := range stories {
		if strings.HasPrefix(s.Key, productPrefix) {
			products = append(products, s)
		} else {
			orders = append(orders, s)
		}
	}
	var last folding
	err := pgdb.InTx(ctx, r.pool, func(ctx context.Context, tx *pgdb.Tx) error {
		f := folding{Rebuilder: r, tx: tx, counted: make(map[string]pieces)}
		if err := f.foldOrders(ctx, orders); err != nil {
			return err
		}
		if err := f.foldProducts(ctx, products); err != nil {
			return err
		}
		last = f
		if !write {
			return tx.Finish(ctx, &pgx.Batch{})
		}
		return f.write(ctx)
	})
	if errors.Is(err, pgdb.ErrCommitUnknown) {
		return nil, fmt.Errorf("fold stories: run it again: %w", err)
	}
	if err != nil {
		return nil, err
	}
	for sku, p := range last.counted {
		all := r.moved[sku]
		r.moved[sku] = pieces{all.reserved + p.reserved, all.sold + p.sold}
	}
	for _, p := range last.products {
		r.stocked[p.SKU] = p.Stocked
	}
	return last.findings, nil
}

const asideSQL = `SELECT topic, partition, record_offset, record_time, state <> 'replayed' FROM dead_letters
UNION ALL SELECT topic, partition, record_offset, record_time, NOT replayed FROM erased_letters
UNION ALL SELECT topic, partition, record_offset, record_time, false FROM held_messages`

// readAside reads once which records are dead letters or held messages: they are not read again.
func (r *Rebuilder) readAside(ctx context.Context) error {
	if r.aside != nil {
		return nil
	}
	all := make(map[place]aside)
	_, err := pgdb.Collect(ctx, r.pool, func(row pgx.CollectableRow) (p place, err error) {
		var a aside
		var at time.Time
		err = row.Scan(&p.topic, &p.partition, &p.offset, &at, &a.parked)
		p.micros = at.UnixMicro()
		all[p] = aside{parked: a.parked || all[p].parked}
		return p, err
	}, asideSQL)
	if err != nil {
		return fmt.Errorf("read dead letters and held messages: %w", err)
	}
	r.aside = all
	return nil
}

// folding is one call of Fold.
type folding struct {
	*Rebuilder
	tx       *pgdb.Tx
	findings []rebuild.Finding
	replaced []string          // ids of orders whose rows contradict the topics
	orders   []*domain.Order   // to write
	products []product         // to write
	removed  map[[16]byte]bool // tombstones of the stories
	counted  map[string]pieces
}

// write writes what differs, and commits.
func (f *folding) write(ctx context.Context) error {
	var batch pgx.Batch
	if len(f.replaced) > 0 {
		for _, sql := range dropOrdersSQL {
			batch.Queue(sql, f.replaced)
		}
	}
	queueOrders(&batch, f.orders)
	f.queueProducts(&batch)
	if err := f.tx.Finish(ctx, &batch); err != nil {
		return fmt.Errorf("write orders: %w", err)
	}
	return nil
}

// dropOrdersSQL deletes rows that contradict the topics. Their messages in the outbox were never published, and the topics know
// better. The outbox may have the change of a product whose sku is the id of such an order: it stays.
var dropOrdersSQL = []string{
	`DELETE FROM outbox WHERE key = ANY (SELECT convert_to(id, 'UTF8') FROM unnest($1::text[]) AS id)
  AND NOT (` + isChangeSQL + `)`,
	`DELETE FROM order_events WHERE order_id = ANY($1)`,
	`DELETE FROM order_lines WHERE order_id = ANY($1)`,
	`DELETE FROM orders WHERE order_id = ANY($1)`,
}
