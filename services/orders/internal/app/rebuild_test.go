package app_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/store"
)

// topics keeps everything that is published, as Kafka would, and lets orders and a simulated payments handle it.
type topics struct {
	*world
	*rand.Rand
	records  []rebuild.Record
	seen     map[string]bool
	inbox    []rebuild.Record // that orders consumes and has not handled
	requests []messages.Message
	payments map[string]string // state by order
	amounts  map[string]messages.Money
}

func newTopics(w *world, seed, n uint64) *topics {
	return &topics{world: w, Rand: rand.New(rand.NewPCG(seed, n)), seen: map[string]bool{}, payments: map[string]string{}, amounts: map[string]messages.Money{}}
}

// publish writes messages as Kafka keeps them. A story has a message once.
func (w *topics) publish(ms ...messages.Message) {
	w.t.Helper()
	for _, m := range ms {
		r, err := m.Record()
		require.NoError(w.t, err)
		r.Offset = int64(len(w.records))
		decoded, err := messages.Decode(r)
		require.NoError(w.t, err)
		record := rebuild.Record{Message: decoded, Topic: r.Topic, Offset: r.Offset}
		switch decoded.Event.(type) {
		case messages.OrderPlaced, messages.PaymentCaptured, messages.PaymentFailed, messages.PaymentRefunded:
			w.inbox = append(w.inbox, record)
		case messages.PaymentRequested, messages.RefundRequested:
			w.requests = append(w.requests, decoded)
		}
		if !w.seen[decoded.ID] {
			w.seen[decoded.ID] = true
			w.records = append(w.records, record)
		}
	}
}

// handle lets orders handle a record.
func (w *topics) handle(r rebuild.Record) {
	w.t.Helper()
	var result []bus.Result
	switch e := r.Event.(type) {
	case messages.OrderPlaced:
		result = w.OnOrderPlaced(w.t.Context(), []bus.In[messages.OrderPlaced]{given(w, r, e)})
	case messages.PaymentCaptured:
		result = w.OnPaymentCaptured(w.t.Context(), []bus.In[messages.PaymentCaptured]{given(w, r, e)})
	case messages.PaymentFailed:
		result = w.OnPaymentFailed(w.t.Context(), []bus.In[messages.PaymentFailed]{given(w, r, e)})
	case messages.PaymentRefunded:
		result = w.OnPaymentRefunded(w.t.Context(), []bus.In[messages.PaymentRefunded]{given(w, r, e)})
	}
	if result[0].Err != nil {
		require.NotEmpty(w.t, fault.Reason(result[0].Err), "%v", result[0].Err)
	}
	w.publish(result[0].Publish...)
	w.publish(w.took()...)
}

func given[E messages.Event](w *topics, r rebuild.Record, e E) bus.In[E] {
	kept, err := r.Record()
	require.NoError(w.t, err)
	kept.Offset = r.Offset
	return bus.In[E]{ID: r.ID, Event: e, Time: r.Time, Record: kept, Outside: r.Outside, Source: r.Source, TraceParent: r.TraceParent}
}

// pay lets payments handle a request.
func (w *topics) pay(m messages.Message) {
	id := m.Event.Key()
	answer := func(e messages.Event, step string) {
		w.clock.pass(time.Millisecond)
		w.publish(messages.Message{ID: messages.ID(id, e.EventName(), step), Source: messages.ServicePayments, Event: e, Time: w.clock.Now(),
			Outside: m.Source != messages.ServiceOrders})
	}
	switch e := m.Event.(type) {
	case messages.PaymentRequested:
		switch {
		case w.payments[id] != "":
		case w.IntN(5) == 0:
			w.payments[id] = "failed"
			answer(messages.PaymentFailed{OrderID: id, UserID: e.UserID, Total: e.Amount, Reason: "card_declined"}, "fail")
		default:
			w.payments[id], w.amounts[id] = "captured", e.Amount
			answer(messages.PaymentCaptured{OrderID: id, UserID: e.UserID, Amount: e.Amount, PaymentID: "pay-" + id}, "capture")
		}
	case messages.RefundRequested:
		switch w.payments[id] {
		case "captured":
			w.payments[id] = "refunded"
			answer(messages.PaymentRefunded{OrderID: id, UserID: e.UserID, Amount: w.amounts[id], PaymentID: "pay-" + id}, "refund")
		case "", "failed":
			w.payments[id] = "voided"
			answer(messages.PaymentRefunded{OrderID: id, UserID: e.UserID, Amount: usd(0)}, "void")
		}
	}
}

// work is one random step of one of the orders.
func (w *topics) work(orders int) {
	w.clock.pass(time.Duration(1+w.IntN(2000)) * time.Millisecond)
	id := fmt.Sprintf("o%03d", w.IntN(orders))
	items := map[string]int{}
	for _, sku := range []string{"a", "b", "c"} {
		if w.IntN(2) == 0 {
			items[sku] = 1 + w.IntN(2)
		}
	}
	switch w.IntN(12) {
	case 0, 1:
		p := domain.Placement{OrderID: id, UserID: "u", Total: usd(1000), HasTotal: len(items) == 0, Email: "a@example.com"}
		for _, sku := range []string{"a", "b", "c"} {
			if items[sku] > 0 {
				p.Lines = append(p.Lines, domain.Line{SKU: sku, Quantity: items[sku]})
			}
		}
		if len(items) > 0 {
			p.Total = messages.Money{}
		}
		_, err := w.PlaceOrder(w.t.Context(), p, nil, nil)
		if err != nil {
			require.ErrorIs(w.t, err, domain.ErrContradiction)
		}
		w.publish(w.took()...)
	case 2, 3:
		e := messages.OrderPlaced{OrderID: id, UserID: "u", Total: messages.Money{Currency: "USD"}, PaymentMethod: "pm"}
		for _, sku := range []string{"a", "b", "c"} {
			if items[sku] > 0 {
				e.Items = append(e.Items, messages.Item{SKU: sku, Quantity: items[sku]})
			}
		}
		if len(items) == 0 {
			e.Total, e.HasTotal = usd(1000), true
		} else if w.IntN(10) == 0 {
			e.Items[0].SKU = "unheard of"
		}
		w.publish(messages.Message{ID: fmt.Sprint("foreign ", len(w.records)), Source: "shop:", Event: e, Time: w.clock.Now()})
	case 4:
		if w.IntN(6) == 0 {
			w.publish(messages.Message{ID: messages.ID(id, "x", "y"), Source: "shop:", Time: w.clock.Now(),
				Event: messages.PaymentRequested{OrderID: id, UserID: "u", Amount: usd(1000)}})
		}
	case 5:
		_, _ = w.CancelOrder(w.t.Context(), id)
		w.publish(w.took()...)
	case 6:
		if w.IntN(8) == 0 {
			w.clock.pass(paymentTimeout)
			_, err := w.ExpirePayments(w.t.Context())
			require.NoError(w.t, err)
			w.publish(w.took()...)
		}
	case 7, 8:
		if len(w.requests) > 0 {
			i := w.IntN(len(w.requests))
			m := w.requests[i]
			w.requests = slices.Delete(w.requests, i, i+1)
			w.pay(m)
		}
	default:
		w.read()
	}
}

// read lets orders handle the next record, sometimes twice.
func (w *topics) read() {
	if len(w.inbox) > 0 {
		r := w.inbox[0]
		if w.IntN(8) > 0 {
			w.inbox = w.inbox[1:]
		}
		w.handle(r)
	}
}

// stories are what the topics tell.
func (w *topics) stories(state rebuild.State) []rebuild.Story {
	byKey := map[string]*rebuild.Story{}
	var keys []string
	for _, r := range w.records {
		key := state.Key(r.Message)
		if key == "" {
			continue
		}
		if byKey[key] == nil {
			byKey[key] = &rebuild.Story{Key: key}
			keys = append(keys, key)
		}
		byKey[key].Records = append(byKey[key].Records, r)
	}
	slices.Sort(keys)
	var stories []rebuild.Story
	for _, key := range keys {
		s := byKey[key]
		slices.SortStableFunc(s.Records, func(a, b rebuild.Record) int {
			if c := a.Time.Compare(b.Time); c != 0 {
				return c
			}
			return strings.Compare(a.Topic, b.Topic)
		})
		stories = append(stories, *s)
	}
	return stories
}

// rebuild folds everything into the database.
func (w *topics) rebuild(db *pgxpool.Pool, write bool) (findings []rebuild.Finding) {
	w.t.Helper()
	state := store.NewRebuilder(db, domain.Policy{PaymentTimeout: paymentTimeout, RepublishAfter: republishAfter}, w.clock.Now)
	for stories := range slices.Chunk(w.stories(state), 50) {
		found, err := state.Fold(w.t.Context(), stories, write)
		require.NoError(w.t, err)
		findings = append(findings, found...)
	}
	found, err := state.Finish(w.t.Context(), write)
	require.NoError(w.t, err)
	return append(findings, found...)
}

// ofKind counts the findings that are not Undecided.
func notUndecided(findings []rebuild.Finding) (list []rebuild.Finding) {
	for _, f := range findings {
		if f.Kind != rebuild.Undecided && !strings.HasPrefix(f.Why, "the price of each line") {
			list = append(list, f)
		}
	}
	return list
}

// rows is everything that was told to the world. Deadlines are not, and the time of a note is when its message was handled.
func rows(t *testing.T, db *pgxpool.Pool) []string {
	t.Helper()
	return column(t, db, `SELECT concat_ws(' | ', order_id, user_id, total_minor, currency, payment_method, email, status, reason, stock, payment_id,
			late_payment, decided_by, version, created_at, status_at, trace_parent) FROM orders
		UNION ALL SELECT concat_ws(' | ', order_id, line, sku, quantity) FROM order_lines l
		UNION ALL SELECT concat_ws(' | ', order_id, number, event, status_from, status_to, detail, CASE WHEN status_from <> status_to THEN at END) FROM order_events
		UNION ALL SELECT concat_ws(' | ', sku, name, price_minor, currency, available, reserved, sold, stocked) FROM inventory ORDER BY 1`)
}

// written changes with every write.
func written(t *testing.T, db *pgxpool.Pool) []string {
	t.Helper()
	return column(t, db, `SELECT xmin || o::text FROM orders o UNION ALL SELECT xmin || l::text FROM order_lines l
		UNION ALL SELECT xmin || e::text FROM order_events e UNION ALL SELECT xmin || i::text FROM inventory i ORDER BY 1`)
}

func column(t *testing.T, db *pgxpool.Pool, sql string) []string {
	t.Helper()
	found, err := db.Query(t.Context(), sql)
	require.NoError(t, err)
	list, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

// backup copies the rows into an empty database.
func (w *topics) backup() *pgxpool.Pool {
	w.t.Helper()
	db := testkit.Database(w.t, migrations.Up).Pool(w.t, "orders")
	_, err := db.Exec(w.t.Context(), `DELETE FROM inventory`)
	require.NoError(w.t, err)
	for _, table := range []string{"inventory", "orders", "order_lines", "order_events"} {
		found, err := w.db.Query(w.t.Context(), `SELECT * FROM `+table)
		require.NoError(w.t, err)
		var names []string
		for _, f := range found.FieldDescriptions() {
			names = append(names, f.Name)
		}
		all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		require.NoError(w.t, err)
		_, err = db.CopyFrom(w.t.Context(), pgx.Identifier{table}, names, pgx.CopyFromRows(all))
		require.NoError(w.t, err)
	}
	return db
}

// load makes a world with scarce stock.
func load(t *testing.T, seed, n uint64) *topics {
	w := newTopics(setup(t), seed, n)
	for i, sku := range []string{"a", "b", "c"} {
		w.product(sku, int64(100+50*i), 12)
		w.publish(w.took()...)
		w.publish(messages.Message{ID: messages.ID(sku, "inventory_changed", "x"), Source: messages.ServiceOrders, Time: w.clock.Now(),
			Event: messages.InventoryChanged{SKU: sku, Name: "Name of " + sku, Price: usd(int64(100 + 50*i)), Stocked: 12, Version: 2}})
	}
	return w
}

// What was told stays: over nothing, over any earlier moment, and over an earlier moment on which the service decided anew.
func TestRebuildIsWhatWasTold(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	for n := range uint64(4) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d, %d", seed, n)
			w := load(t, seed, n)
			const orders = 60
			var older *pgxpool.Pool
			for i := range 900 {
				if i == 300 {
					older = w.backup()
				}
				w.work(orders)
			}
			for len(w.requests)+len(w.inbox) > 0 {
				for _, m := range w.requests {
					w.pay(m)
				}
				w.requests = nil
				if len(w.inbox) > 0 {
					r := w.inbox[0]
					w.inbox = w.inbox[1:]
					w.handle(r)
				}
			}
			told := rows(t, w.db)

			before := written(t, w.db)
			require.Empty(t, notUndecided(w.rebuild(w.db, true)), "over equal rows")
			require.Equal(t, before, written(t, w.db))

			empty := testkit.Database(t, migrations.Up).Pool(t, "orders")
			w.same(told, empty)
			w.same(told, older)

			// The same earlier moment, and everything decided anew in another order: reproduction F1 and F2.
			again := w.backup()
			_, err := again.Exec(t.Context(), `TRUNCATE orders, order_lines, order_events`)
			require.NoError(t, err)
			_, err = again.Exec(t.Context(), `UPDATE inventory SET reserved = 0, sold = 0, available = stocked`)
			require.NoError(t, err)
			other := newTopics(newWorld(again, w.clock), seed, n)
			other.world.t = t
			for _, r := range slices.Backward(w.records) {
				if _, ok := r.Event.(messages.OrderPlaced); ok {
					other.handle(r)
				}
			}
			for _, r := range w.records {
				switch r.Event.(type) {
				case messages.PaymentCaptured, messages.PaymentFailed, messages.PaymentRefunded:
					other.handle(r)
				}
			}
			require.NotEqual(t, told, rows(t, again), "the stock is scarce")
			w.same(told, again)
		})
	}
}

// same expects that a rebuild of the database makes it equal, that a dry run writes nothing, and a second run neither.
func (w *topics) same(told []string, db *pgxpool.Pool) {
	w.t.Helper()
	before := written(w.t, db)
	dry := notUndecided(w.rebuild(db, false))
	require.Equal(w.t, before, written(w.t, db), "a dry run writes nothing")
	found := notUndecided(w.rebuild(db, true))
	require.NotEmpty(w.t, found)
	w.diff(told, rows(w.t, db))
	require.Equal(w.t, fmt.Sprint(found), fmt.Sprint(dry), "a dry run finds the same")
	before = written(w.t, db)
	require.Empty(w.t, notUndecided(w.rebuild(db, true)))
	require.Equal(w.t, before, written(w.t, db), "a second run writes nothing")
}

func (w *topics) diff(want, got []string) {
	w.t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			w.t.Errorf("- %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			w.t.Errorf("+ %s", line)
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}
