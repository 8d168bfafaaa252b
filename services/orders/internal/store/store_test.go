package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

type nobody struct{}

func (nobody) Enqueue(...outbox.Row) {}

func (nobody) Stuck(context.Context) (time.Time, error) { return time.Time{}, nil }

type world struct {
	*store.Store
	t  testing.TB
	db *pgxpool.Pool
}

func setup(t testing.TB) *world {
	t.Helper()
	db := testkit.Database(t, migrations.Up).Pool(t, "orders")
	return &world{Store: store.New(db, nobody{}, deadletter.NewStore(db)), t: t, db: db}
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)

func placed(id string, now time.Time) *domain.Order {
	o, err := domain.Place(domain.Placement{OrderID: id, UserID: "u", HasTotal: true, Total: messages.Money{Minor: 1000, Currency: "USD"}},
		nil, domain.TriggerHTTP, domain.Policy{RepublishAfter: time.Minute}, now)
	if err != nil {
		panic(err)
	}
	return &o
}

func (w *world) save(orders ...*domain.Order) error {
	return w.InTx(w.t.Context(), func(ctx context.Context, tx app.Tx) error { return tx.Save(ctx, app.Work{Orders: orders}) })
}

func (w *world) read(id string) *domain.Order {
	w.t.Helper()
	o, err := w.Order(w.t.Context(), id, nil)
	require.NoError(w.t, err)
	return &o
}

// violates expects a statement to be refused by the constraint.
func (w *world) violates(constraint, sql string, args ...any) {
	w.t.Helper()
	_, err := w.db.Exec(w.t.Context(), sql, args...)
	var pg *pgconn.PgError
	require.ErrorAs(w.t, err, &pg, "%s should refuse: %s", constraint, sql)
	require.Equal(w.t, constraint, pg.ConstraintName, sql)
}

func TestTheTablesRefuseWhatTheRulesForbid(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.save(placed("o", at)))
	order := func(set string) string { return `UPDATE orders SET ` + set }
	for constraint, statements := range map[string][]string{
		"order_status":             {order(`status = 'shipped', reason = ''`)},
		"order_stock":              {order(`stock = 'lost'`)},
		"order_total_not_negative": {order(`total_minor = -1, status = 'rejected', reason = 'x'`)},
		"order_currency_code":      {order(`currency = 'usd'`)},
		"order_reason_when_it_did_not_work_out": {order(`reason = 'x'`), order(`status = 'failed'`),
			order(`status = 'cancelling'`), order(`status = 'cancelled'`), order(`status = 'rejected'`)},
		"order_holds_stock_only_while_open": {order(`stock = 'reserved'`), order(`stock = 'reserved', status = 'failed', reason = 'x'`)},
		"order_sold_only_when_paid":         {order(`stock = 'sold', payment_id = 'p'`), order(`stock = 'sold', status = 'cancelling', reason = 'x'`)},
		"order_confirmed_only_when_paid":    {order(`status = 'confirmed'`)},
		"order_open_only_when_priced":       {order(`total_minor = 0`)},
		"orders_pkey":                       {`INSERT INTO orders SELECT * FROM orders`},
		"order_line_number":                 {`INSERT INTO order_lines VALUES ('o', 0, 'a', 1, 1)`, `INSERT INTO order_lines VALUES ('o', 101, 'a', 1, 1)`},
		"order_line_quantity":               {`INSERT INTO order_lines VALUES ('o', 1, 'a', 0, 1)`, `INSERT INTO order_lines VALUES ('o', 1, 'a', 1001, 1)`},
		"order_line_price_positive":         {`INSERT INTO order_lines VALUES ('o', 1, 'a', 1, 0)`},
		"order_line_sku_once":               {`INSERT INTO order_lines VALUES ('o', 1, 'a', 1, 1), ('o', 2, 'a', 1, 1)`},
		"order_events_pkey":                 {`INSERT INTO order_events SELECT * FROM order_events`},
		"order_event_status":                {`INSERT INTO order_events VALUES ('o', 2, 'x', '', 'shipped', '', now())`},
		"order_event_number_positive":       {`INSERT INTO order_events VALUES ('o', 0, 'x', '', 'pending', '', now())`},
		"inventory_price_positive":          {`UPDATE inventory SET price_minor = 0`},
		"inventory_currency_code":           {`UPDATE inventory SET currency = '$'`},
		"inventory_pieces_add_up":           {`UPDATE inventory SET available = available + 1`, `UPDATE inventory SET sold = 1`},
		"inventory_available_not_negative":  {`UPDATE inventory SET available = -1, reserved = stocked + 1`},
		"inventory_reserved_not_negative":   {`UPDATE inventory SET available = stocked + 1, reserved = -1`},
		"inventory_sold_not_negative":       {`UPDATE inventory SET available = stocked + 1, sold = -1`},
		"idempotency_status_code":           {`INSERT INTO idempotency_keys VALUES ('k', '', 404, '', '', '', NULL, now())`},
	} {
		for _, sql := range statements {
			// Several rules can be broken at once; only the one that is meant may be.
			w.violates(constraint, sql)
		}
	}
}

func TestTheTableHasTheStatusesOfTheCode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, constraint := range []string{"order_status", "order_event_status"} {
		var def string
		require.NoError(t, w.db.QueryRow(t.Context(), `SELECT pg_get_constraintdef(oid) FROM pg_constraint
			WHERE conname = $1 AND connamespace = current_schema()::regnamespace`, constraint).Scan(&def))
		require.Equal(t, len(domain.Statuses()), strings.Count(def, "'")/2, def)
		for _, s := range domain.Statuses() {
			require.Contains(t, def, "'"+string(s)+"'")
		}
	}
}

func TestSaveGivesBackWhatItWasGiven(t *testing.T) {
	t.Parallel()
	w := setup(t)
	stock := domain.Stock{"a": {SKU: "a", Price: messages.Money{Minor: 250, Currency: "EUR"}}}
	o, err := domain.Place(domain.Placement{OrderID: "o", UserID: "u", Lines: []domain.Line{{SKU: "a", Quantity: 4}},
		PaymentMethod: "m", Email: "e@example.com", TraceParent: "t"}, stock, domain.TriggerHTTP, domain.Policy{RepublishAfter: time.Minute}, at)
	require.NoError(t, err)
	require.NoError(t, w.save(&o))
	changes := o.Changes
	o.Changes = nil
	require.Equal(t, &o, w.read("o"))
	timeline, err := w.Timeline(t.Context(), "o", 0, nil)
	require.NoError(t, err)
	require.Equal(t, changes, timeline)
}

func TestAnOrderThatChangedSinceItWasReadIsNotOverwritten(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.save(placed("o", at)))
	one, other := w.read("o"), w.read("o")
	for _, o := range []*domain.Order{one, other} {
		_, err := o.Cancel(domain.Policy{}, at)
		require.NoError(t, err)
	}
	require.NoError(t, w.save(one))
	require.ErrorContains(t, w.save(other), "1 of 1: an order is not as it was read")
	timeline, err := w.Timeline(t.Context(), "o", 0, nil)
	require.NoError(t, err)
	require.Len(t, timeline, 2)

	// Nor by one who only puts off the next look at it.
	stale := w.read("o")
	newer := w.read("o")
	_, err = newer.Capture(messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: newer.Total, PaymentID: "p"}, nil, domain.Policy{}, at)
	require.NoError(t, err)
	require.NoError(t, w.save(newer))
	stale.Nudged(domain.Policy{RepublishAfter: time.Minute}, at)
	require.Error(t, w.save(stale))

	// Nor is one whose status was changed by a hand that forgot the version.
	require.NoError(t, w.save(placed("p", at)))
	p := w.read("p")
	_, err = p.Cancel(domain.Policy{}, at)
	require.NoError(t, err)
	_, err = w.db.Exec(t.Context(), `UPDATE orders SET status = 'awaiting_payment' WHERE order_id = 'p'`)
	require.NoError(t, err)
	require.Error(t, w.save(p))
}

func TestPiecesThatAreNotThereCannotBeMoved(t *testing.T) {
	t.Parallel()
	w := setup(t)
	move := func(m app.StockMove) error {
		return w.InTx(t.Context(), func(ctx context.Context, tx app.Tx) error {
			if _, _, err := tx.LockProducts(ctx, []string{m.SKU}, nil); err != nil {
				return err
			}
			return tx.Save(ctx, app.Work{Stock: []app.StockMove{m}})
		})
	}
	var pg *pgconn.PgError
	require.ErrorAs(t, move(app.StockMove{SKU: "turntable-limited", Available: -2, Reserved: 2}), &pg)
	require.Equal(t, "inventory_available_not_negative", pg.ConstraintName)
	require.ErrorContains(t, move(app.StockMove{SKU: "unheard of", Available: -1, Reserved: 1}), "a product is not as it was read")
	require.NoError(t, move(app.StockMove{SKU: "turntable-limited", Available: -1, Reserved: 1}))
}

func TestOrdersAreListedNewestFirstPageByPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 7 {
		o := placed(fmt.Sprintf("o%d", i), at.Add(time.Duration(i/2)*time.Second)) // two at a time
		if i%3 == 0 {
			o.UserID = "v"
		}
		require.NoError(t, w.save(o))
	}
	o := w.read("o3")
	_, err := o.Cancel(domain.Policy{}, at)
	require.NoError(t, err)
	require.NoError(t, w.save(o))

	orders := app.New(app.Config{Store: w.Store})
	list := func(q app.Query) (ids string) {
		for pages := 0; ; pages++ {
			require.Less(t, pages, 10)
			page, err := orders.Orders(t.Context(), q)
			require.NoError(t, err)
			if len(page) == 0 {
				return ids
			}
			require.LessOrEqual(t, len(page), q.Limit)
			for _, o := range page {
				ids += o.ID + " "
				q.After = app.Position{CreatedAt: o.CreatedAt, OrderID: o.ID}
			}
		}
	}
	require.Equal(t, "o6 o5 o4 o3 o2 o1 o0 ", list(app.Query{Limit: 2}))
	require.Equal(t, "o6 o5 o4 o3 o2 o1 o0 ", list(app.Query{Limit: 7}))
	require.Equal(t, "o6 o3 o0 ", list(app.Query{Limit: 1, UserID: "v"}))
	require.Equal(t, "o6 o5 o4 o2 o1 o0 ", list(app.Query{Limit: 4, Status: domain.Pending}))
	require.Equal(t, "o3 ", list(app.Query{Limit: 4, UserID: "v", Status: domain.Cancelled}))
	require.Empty(t, list(app.Query{Limit: 4, UserID: "nobody"}))
}

func TestTheSeededCatalogue(t *testing.T) {
	t.Parallel()
	w := setup(t)
	products, err := w.Products(t.Context())
	require.NoError(t, err)
	require.Len(t, products, 8)
	var last, dear, usual bool
	for _, p := range products {
		last = last || p.Available == 1
		dear = dear || p.Price.Minor > 90000
		usual = usual || p.Price == messages.Money{Minor: 4999, Currency: "USD"}
		require.NotEmpty(t, p.Name)
	}
	require.True(t, last && dear && usual)

	p, created, err := w.put("vinyl-swan-lake", "Swan Lake", messages.Money{Minor: 100, Currency: "EUR"})
	require.NoError(t, err)
	require.False(t, created)
	require.EqualValues(t, 500, p.Available)
	require.EqualValues(t, 1, p.Version)
	restock := func(sku string, pieces int64) (p domain.Product, err error) {
		err = w.InTx(t.Context(), func(ctx context.Context, tx app.Tx) error {
			if p, err = tx.Restock(ctx, sku, pieces); err != nil {
				return err
			}
			return tx.Save(ctx, app.Work{Now: at})
		})
		return p, err
	}
	p, err = restock("vinyl-swan-lake", 5)
	require.NoError(t, err)
	require.EqualValues(t, 505, p.Stocked)
	require.EqualValues(t, 2, p.Version)
	got, err := w.Product(t.Context(), "vinyl-swan-lake")
	require.NoError(t, err)
	require.Equal(t, p, got)
	_, err = w.Product(t.Context(), "unheard of")
	require.ErrorIs(t, err, app.ErrNotFound)
	_, err = restock("unheard of", 1)
	require.ErrorIs(t, err, app.ErrNotFound)
}

func TestNewer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.save(placed("o", at), placed("p", at)))
	newer, err := w.Newer(t.Context(), map[string]int64{"o": 0, "p": 1, "q": 0})
	require.NoError(t, err)
	require.Equal(t, []domain.Order{*w.read("o")}, newer)
}

// Logical replication copies held messages and leaves the sequence behind them.
func TestAHeldMessageWhoseIDIsTakenSaysSo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	hold := func(offset int64) error {
		return w.InTx(t.Context(), func(ctx context.Context, tx app.Tx) error {
			_, err := tx.Hold(ctx, app.Held{OrderID: "o", Event: "e", HeldAt: at,
				Record: messages.Record{Topic: "t", Time: at.Add(time.Duration(offset) * time.Second), Offset: offset}})
			return err
		})
	}
	require.NoError(t, hold(1))
	testkit.Admin(t, w.db, `SELECT setval('held_messages_id_seq', 1, false)`)
	err := hold(2)
	require.ErrorAs(t, err, new(*pgdb.SequenceError))
	require.ErrorContains(t, err, "run `pas migrate`")
	require.True(t, pgdb.IsUnavailable(err), "the record waits in its partition")
}

// put changes or makes a product in a transaction of its own.
func (w *world) put(sku, name string, price messages.Money) (p domain.Product, created bool, err error) {
	err = w.InTx(context.Background(), func(ctx context.Context, tx app.Tx) error {
		if p, created, err = tx.PutProduct(ctx, sku, name, price); err != nil {
			return err
		}
		return tx.Save(ctx, app.Work{Now: at})
	})
	return p, created, err
}
