package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/orders/internal/domain"
)

// work has the orders and the stock of one transaction in memory: locked, decided, then written at once.
type work struct {
	tx     Tx
	now    time.Time
	orders map[string]*domain.Order // those that exist, by id
	stock  domain.Stock
	before map[string]domain.Product // stock as it was read
	held   map[string][]Held         // held messages of the orders, by id
	out    Work

	ofRemoved int // messages about orders that retention has removed
}

func (a *App) newWork(tx Tx) *work {
	now := a.now()
	return &work{tx: tx, now: now, orders: make(map[string]*domain.Order), stock: make(domain.Stock), out: Work{Now: now}}
}

// inWork runs decide and saves its decisions, in one transaction. Call committed with the result.
func (a *App) inWork(ctx context.Context, decide func(ctx context.Context, w *work) error) (*work, error) {
	var w *work
	err := a.cfg.Store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		w = a.newWork(tx)
		if err := decide(ctx, w); err != nil {
			return err
		}
		return w.save(ctx)
	})
	return w, err
}

// lockOrders locks the orders and reads those that exist. It also locks the ids of those that do not exist.
func (w *work) lockOrders(ctx context.Context, ids []string) error {
	slices.Sort(ids)
	orders, err := w.tx.LockOrders(ctx, slices.Compact(ids))
	if err != nil {
		return err
	}
	w.orders = orders
	return nil
}

// lockOrder locks an order and reads it, if only is its user or nil. Otherwise it runs the same statements as for an order that does
// not exist, and waits for nobody who works on that order.
func (w *work) lockOrder(ctx context.Context, id string, only *string) (err error) {
	if only == nil {
		return w.lockOrders(ctx, []string{id})
	}
	w.orders, err = w.tx.LockOrderOf(ctx, *only, id)
	return err
}

// lockStock locks and reads, in the order of their skus, the products of the lines and of orders that may still move stock. It
// also reads the held messages of the orders given.
func (w *work) lockStock(ctx context.Context, lines []domain.Line, orderIDs []string) error {
	skus := skusOf(lines)
	for _, o := range w.orders {
		if !o.Status.Settled() {
			skus = append(skus, skusOf(o.Lines)...)
		}
	}
	slices.Sort(skus)
	stock, held, err := w.tx.LockProducts(ctx, slices.Compact(skus), orderIDs)
	if err != nil {
		return err
	}
	w.held = make(map[string][]Held)
	for _, h := range held {
		w.held[h.OrderID] = append(w.held[h.OrderID], h)
	}
	w.stock, w.before = stock, make(map[string]domain.Product, len(stock))
	for sku, p := range stock {
		w.before[sku] = *p
	}
	return nil
}

func skusOf(lines []domain.Line) []string {
	skus := make([]string, len(lines))
	for i, l := range lines {
		skus[i] = l.SKU
	}
	return skus
}

// add puts a new order among those that exist.
func (w *work) add(o *domain.Order) { w.orders[o.ID] = o }

func (w *work) outbox(msgs ...messages.Message) { w.out.Outbox = append(w.out.Outbox, msgs...) }

// audit adds an entry to the audit log: a person asked for this change.
func (w *work) audit(operation, subject string, details map[string]any) {
	w.out.Audit = append(w.out.Audit, auditlog.Entry{Operation: operation, Subject: subject, Details: details})
}

// save writes what changed.
func (w *work) save(ctx context.Context) error {
	for _, o := range w.orders {
		if len(o.Changes) > 0 {
			w.out.Orders = append(w.out.Orders, o)
		}
	}
	for sku, p := range w.stock {
		was := w.before[sku]
		m := StockMove{SKU: sku, Available: p.Available - was.Available, Reserved: p.Reserved - was.Reserved, Sold: p.Sold - was.Sold}
		if m.Available != 0 || m.Reserved != 0 || m.Sold != 0 {
			w.out.Stock = append(w.out.Stock, m)
		}
	}
	slices.SortFunc(w.out.Orders, func(a, b *domain.Order) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(w.out.Stock, func(a, b StockMove) int { return strings.Compare(a.SKU, b.SKU) })
	return w.tx.Save(ctx, w.out)
}

// committed updates metrics and watchers after the commit.
func (a *App) committed(w *work) {
	for _, o := range w.out.Orders {
		if len(o.Changes) == 0 {
			continue
		}
		a.cfg.Metrics.changed(o)
		for _, c := range o.Changes {
			if (c.From == domain.Pending || c.From == domain.AwaitingPayment) && c.To.Settled() {
				a.backlog.end(a.now(), c.At.Sub(o.CreatedAt))
			}
		}
		a.watchers.send(snapshot(o))
	}
}

// snapshot returns the order as a reader would get it.
func snapshot(o *domain.Order) domain.Order {
	s := *o
	s.Changes = nil
	return s
}

// onMessages is the frame of the use cases that messages trigger. It locks the orders of the batch, their stock,
// and the lines and held messages that needs returns. Then it decides each message in turn, and saves. If that fails, all messages get the error.
func onMessages[E messages.Event](ctx context.Context, a *App, batch []bus.In[E],
	needs func(w *work) (lines []domain.Line, heldFor []string),
	decide func(ctx context.Context, w *work, in bus.In[E]) (bus.Result, error),
) []bus.Result {
	results := make([]bus.Result, len(batch))
	w, err := a.inWork(ctx, func(ctx context.Context, w *work) error {
		ids := make([]string, len(batch))
		for i, in := range batch {
			ids[i] = in.Event.Order()
		}
		if err := w.lockOrders(ctx, ids); err != nil {
			return err
		}
		lines, heldFor := needs(w)
		if err := w.lockStock(ctx, lines, heldFor); err != nil {
			return err
		}
		for i, in := range batch {
			var err error
			if id := in.Event.Order(); w.orders[id] == nil && w.tx.Removed(id) {
				results[i] = bus.Result{} // a repetition, of an order that was settled long ago
				w.ofRemoved++
				continue
			}
			if results[i], err = decide(ctx, w, in); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for i := range results {
			results[i] = bus.Result{Err: err}
		}
		return results
	}
	a.committed(w)
	a.cfg.Metrics.ofRemoved.Add(float64(w.ofRemoved))
	return results
}

// nothingElse is for use cases that need only the orders and their stock.
func nothingElse(*work) ([]domain.Line, []string) { return nil, nil }
