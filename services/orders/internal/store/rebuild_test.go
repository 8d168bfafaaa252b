package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/store"
)

var usualPolicy = domain.Policy{PaymentTimeout: 15 * time.Minute, RepublishAfter: time.Minute}

func usd(minor int64) messages.Money { return messages.Money{Minor: minor, Currency: "USD"} }

// story makes a story of the orders service's messages; payments wrote those about payments.
func story(state rebuild.State, events ...messages.Event) rebuild.Story {
	var s rebuild.Story
	for i, e := range events {
		m := messages.Message{ID: fmt.Sprint(e.Key(), i), Event: e, Source: messages.ServiceOrders, Time: at.Add(time.Duration(i) * time.Second)}
		switch e.(type) {
		case messages.PaymentCaptured, messages.PaymentFailed, messages.PaymentRefunded:
			m.Source = messages.ServicePayments
		}
		s.Key = state.Key(m)
		s.Records = append(s.Records, rebuild.Record{Message: m, Topic: e.Topic(), Offset: int64(i), Written: m.Time})
	}
	return s
}

func (w *world) rebuilder() *store.Rebuilder {
	return store.NewRebuilder(w.db, usualPolicy, func() time.Time { return at.Add(time.Hour) })
}

// rebuild folds the stories and finishes.
func (w *world) rebuild(stories ...rebuild.Story) []rebuild.Finding {
	w.t.Helper()
	r := w.rebuilder()
	findings, err := r.Fold(w.t.Context(), stories, true)
	require.NoError(w.t, err)
	rest, err := r.Finish(w.t.Context(), true)
	require.NoError(w.t, err)
	return append(findings, rest...)
}

func (w *world) product(sku string) domain.Product {
	w.t.Helper()
	p, err := w.Product(w.t.Context(), sku)
	require.NoError(w.t, err)
	p.Version = 0
	return p
}

func kinds(findings []rebuild.Finding) (list []string) {
	for _, f := range findings {
		list = append(list, string(f.Kind)+" "+f.Key)
	}
	return list
}

// sold are the messages of a confirmed order over pieces of a sku at 1 USD.
func sold(id, sku string, pieces int) []messages.Event {
	price, total := usd(100), usd(int64(100*pieces))
	items := []messages.Item{{SKU: sku, Quantity: pieces, UnitPrice: &price}}
	return []messages.Event{messages.OrderPlaced{OrderID: id, UserID: "u", Total: total, HasTotal: true, Items: items},
		messages.PaymentRequested{OrderID: id, UserID: "u", Amount: total, Items: items, Step: "order_placed"},
		messages.PaymentCaptured{OrderID: id, UserID: "u", Amount: total, PaymentID: "p-" + id},
		messages.OrderConfirmed{OrderID: id, UserID: "u", Total: total, Items: items, PaymentID: "p-" + id, Step: "payment_captured"}}
}

func TestProductsAreWhatTheirLastChangeSays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	state := w.rebuilder()
	swan := story(state, messages.InventoryChanged{SKU: "vinyl-swan-lake", Name: "Swan Lake", Price: usd(5999), Stocked: 600, Version: 40},
		messages.InventoryChanged{SKU: "vinyl-swan-lake", Name: "Swan Lake, 2 LP", Price: usd(4999), Stocked: 550, Version: 12})
	shoes := story(state, messages.InventoryChanged{SKU: "shoes", Name: "Shoes", Price: usd(100), Stocked: 10, Version: 3})
	order := story(state, sold("o", "shoes", 4)...)
	require.NotEqual(t, shoes.Key, story(state, sold("shoes", "shoes", 1)...).Key, "an order may have the id of a sku")
	require.Equal(t, []string{"differs o", "differs vinyl-swan-lake", "differs shoes", "differs shoes"}, kinds(w.rebuild(swan, shoes, order)))
	require.Equal(t, domain.Product{SKU: "vinyl-swan-lake", Name: "Swan Lake", Price: usd(5999), Available: 600, Stocked: 600}, w.product("vinyl-swan-lake"))
	require.Equal(t, domain.Product{SKU: "shoes", Name: "Shoes", Price: usd(100), Available: 6, Sold: 4, Stocked: 10}, w.product("shoes"))
	var version int64
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT version FROM inventory WHERE sku = 'vinyl-swan-lake'`).Scan(&version))
	require.Greater(t, version, int64(40), "the next change must have a higher version")
	require.Empty(t, w.rebuild(swan, shoes, order))
}

func TestOrdersThatProveMorePiecesThanWereAdded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	state := w.rebuilder()
	list := []rebuild.Story{story(state, sold("o1", "turntable-limited", 1)...), story(state, sold("o2", "turntable-limited", 1)...),
		story(state, sold("o3", "unheard of", 3)...)}
	found := w.rebuild(list...)
	require.Equal(t, []string{"differs o1", "differs o2", "differs o3", "unknown unheard of", "differs turntable-limited", "unknown turntable-limited",
		"differs unheard of", "unknown unheard of"}, kinds(found))
	for _, f := range found {
		require.Equal(t, f.Kind == rebuild.Unknown, f.Do != "", f)
	}
	p := w.product("turntable-limited")
	require.Equal(t, []int64{0, 0, 2, 2}, []int64{p.Available, p.Reserved, p.Sold, p.Stocked})
	p = w.product("unheard of")
	require.Equal(t, domain.Product{SKU: "unheard of", Name: "unheard of", Price: usd(100), Sold: 3, Stocked: 3}, p)
	require.Empty(t, w.rebuild(list...))
}

// A row that is ahead stays, and so does one that the topics do not know.
func TestARowThatIsAheadStays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	state := w.rebuilder()
	all := sold("o", "record-brush", 2)
	w.rebuild(story(state, all...))
	require.NoError(t, w.save(placed("unknown to the topics", at)))
	before := w.read("o")
	found := w.rebuild(story(state, all[:3]...))
	require.Equal(t, []string{"undecided o"}, kinds(found))
	require.Len(t, found[0].Again, 1, "payment_captured is read again, and its outputs are published again")
	require.Equal(t, messages.EventPaymentCaptured, found[0].Again[0].Event.EventName())
	require.Equal(t, before, w.read("o"))
	require.Equal(t, domain.Pending, w.read("unknown to the topics").Status)
}

// A product whose change is in the outbox is ahead of the topic.
func TestAProductWhoseChangeIsNotPublishedStays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, sql := range []string{`UPDATE inventory SET version = 10, announced = true WHERE sku = 'record-brush'`,
		`INSERT INTO outbox (topic, key, value, headers) VALUES ('orders', 'record-brush', '{"event":"inventory_changed"}', '[]')`} {
		_, err := w.db.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	before := w.product("record-brush")
	change := messages.InventoryChanged{SKU: "record-brush", Name: "Brush", Price: usd(1), Stocked: 5000, Version: 9}
	require.Empty(t, w.rebuild(story(w.rebuilder(), change)))
	require.Equal(t, before, w.product("record-brush"))

	change.Version = 11 // the outbox is that of a restored backup
	require.Equal(t, []string{"differs record-brush"}, kinds(w.rebuild(story(w.rebuilder(), change))))
	require.Equal(t, usd(1), w.product("record-brush").Price)
	require.Empty(t, w.rebuild(story(w.rebuilder(), change)))
}

// A product that a version without events changed is newer than the topic, if the topic has it at all.
func TestAProductThatIsNotAnnouncedYetStays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, set := range []string{`version = 10`, `price_minor = 77, announced = false`} {
		_, err := w.db.Exec(t.Context(), `UPDATE inventory SET `+set+` WHERE sku = 'record-brush'`)
		require.NoError(t, err)
	}
	change := messages.InventoryChanged{SKU: "record-brush", Name: "Brush", Price: usd(1), Stocked: 5000, Version: 9}
	require.Empty(t, w.rebuild(story(w.rebuilder(), change)))
	require.Equal(t, usd(77), w.product("record-brush").Price)
	change.Version = 11
	require.Equal(t, []string{"differs record-brush"}, kinds(w.rebuild(story(w.rebuilder(), change))))
	require.Equal(t, usd(1), w.product("record-brush").Price)
	require.Empty(t, w.rebuild(story(w.rebuilder(), change)))
	var unannounced int
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM inventory WHERE NOT announced`).Scan(&unannounced))
	require.Zero(t, unannounced)
}

func TestDeadlinesAfterARebuild(t *testing.T) {
	t.Parallel()
	w := setup(t)
	state := w.rebuilder()
	now := at.Add(time.Hour)
	all := sold("o", "record-brush", 2)
	pending := sold("pending", "record-brush", 2)
	w.rebuild(story(state, all[:2]...), story(state, pending[:1]...))
	require.Equal(t, now.Add(5*time.Minute), w.read("o").DueAt, "the answer of payments may be on the topic, unread")
	require.True(t, w.read("pending").DueAt.Before(now), "the sweeper publishes it again at once")

	// A restored row that is equal waits no longer than it had to, and follows an answer that stands on the topic.
	_, err := w.db.Exec(t.Context(), `UPDATE orders SET due_at = $1 WHERE order_id = 'o'`, at)
	require.NoError(t, err)
	require.Empty(t, w.rebuild(story(state, all[:2]...)))
	require.Equal(t, at, w.read("o").DueAt)
	require.Equal(t, []string{"differs o", "undecided o", "differs record-brush"}, kinds(w.rebuild(story(state, all[:3]...))))
	require.Equal(t, domain.Confirmed, w.read("o").Status)
	require.Zero(t, w.read("o").DueAt)

	// One that is ahead of the topics waits a little longer: an answer may stand there, and is read again.
	ahead := sold("ahead", "record-brush", 2)
	w.rebuild(story(state, ahead[:2]...))
	_, err = w.db.Exec(t.Context(), `UPDATE orders SET due_at = $1 WHERE order_id = 'ahead'`, at)
	require.NoError(t, err)
	require.Equal(t, []string{"undecided ahead"}, kinds(w.rebuild(story(state, ahead[0], ahead[2]))))
	require.Equal(t, now.Add(5*time.Minute), w.read("ahead").DueAt)
}

// A record that the service refused is a dead letter; over an empty database it must be read again.
func TestDeadLettersAndHeldMessagesAreReadAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	state := w.rebuilder()
	all := sold("o", "record-brush", 2)
	contradicts := messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: usd(7), PaymentID: "q"}
	list := []rebuild.Story{story(state, append(slices.Clone(all), contradicts)...), story(state, messages.PaymentCaptured{OrderID: "x", UserID: "u", Amount: usd(7), PaymentID: "q"})}
	list[1].Records[0].Outside, list[1].Records[0].Offset = true, 77
	found := w.rebuild(list...)
	require.Equal(t, []string{"differs o", "undecided o", "undecided x", "differs record-brush"}, kinds(found))
	require.EqualValues(t, 4, found[1].Again[0].Offset)
	_, err := w.db.Exec(t.Context(), `INSERT INTO dead_letters (topic, partition, record_offset, record_time, reason, detail)
		VALUES ('payments', 0, 4, $1, 'contradicts_state', '')`, at.Add(4*time.Second))
	require.NoError(t, err)
	_, err = w.db.Exec(t.Context(), `INSERT INTO held_messages (order_id, event, topic, partition, record_offset, record_time, held_at)
		VALUES ('x', 'payment_captured', 'payments', 0, 77, $1, now())`, at)
	require.NoError(t, err)
	require.Empty(t, w.rebuild(list...))
}

// The messages of a row that contradicts the topics were never published, and never are.
func TestTheOutboxOfARowThatContradictsTheTopicsIsEmptied(t *testing.T) {
	t.Parallel()
	w := setup(t)
	state := w.rebuilder()
	all := sold("o", "record-brush", 2)
	w.rebuild(story(state, append(slices.Clone(all[:1]), messages.OrderCancelled{OrderID: "o", UserID: "u", Total: usd(200),
		Items: all[0].(messages.OrderPlaced).Items, Reason: "cancelled_by_user", Step: "http"})...))
	require.Equal(t, domain.Cancelled, w.read("o").Status)
	_, err := w.db.Exec(t.Context(), `INSERT INTO outbox (topic, key, value, headers) VALUES ('orders', 'o', '{}', '[]'), ('orders', 'other', '{}', '[]'),
		('orders', 'o', '{"event":"inventory_changed","sku":"o"}', '[]')`)
	require.NoError(t, err)
	found := w.rebuild(story(state, all...))
	require.Equal(t, []string{"differs o", "differs record-brush"}, kinds(found))
	require.Equal(t, "the row contradicts the topics", found[0].Why)
	require.Equal(t, domain.Confirmed, w.read("o").Status)
	var left int
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM outbox`).Scan(&left))
	require.Equal(t, 2, left, "the message of another order, and a product's whose sku is the order's id")
}

// BenchmarkRebuild folds and writes orders of six messages each, over an empty database.
func BenchmarkRebuild(b *testing.B) {
	w := setup(b)
	state := w.rebuilder()
	n := 0
	for b.Loop() {
		stories := make([]rebuild.Story, 0, 1000)
		for range 1000 {
			n++
			id := fmt.Sprintf("order-%08d", n)
			events := append(sold(id, "record-brush", 2), messages.NotificationRequested{OrderID: id, UserID: "u", Kind: "confirmed", Message: "m"})
			stories = append(stories, story(state, events...))
		}
		if _, err := state.Fold(b.Context(), stories, true); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "orders/s")
	start := time.Now()
	if _, err := state.Finish(b.Context(), true); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(start).Seconds(), "s/finish")
}
