package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// PostedTwice posts the same order twice with one Idempotency-Key, as a client does after a lost answer.
func PostedTwice() Scenario {
	return Scenario{Name: "posted-twice", Title: "the same order posted twice with one Idempotency-Key is one order", play: func(a *act) {
		if !a.ok() {
			return
		}
		sku := a.product("castanets", "20.00", 9)
		body, key := a.order("hal", sku, 1), client.PlaceOptions{IdempotencyKey: "demo-" + a.suffix}
		order, first := a.post(body, key)
		a.watch(order.OrderID)
		a.settled(order.OrderID, "confirmed", "")

		// The first order is settled by now. The stored answer must still be the one of the first request.
		_, again := a.post(body, key)
		expect(a, "status of the second answer", first.Status, again.Status)
		expect(a, "Idempotency-Replayed of the second answer", "true", again.Header.Get("Idempotency-Replayed"))
		if a.ok() && !bytes.Equal(first.Body, again.Body) {
			a.fail("the second answer differs from the first: %s, expected %s", again.Body, first.Body)
		}
		a.note("the second answer is the first one, byte for byte, with Idempotency-Replayed: true")

		// One key stands for one body. Another body under the key is a mistake of the client, and must not
		// become an order.
		other := body
		other.Items = []client.NewItem{{SKU: sku, Quantity: 2}}
		if a.ok() {
			_, _, err := a.env.Client.Place(a.ctx, other, key)
			a.refused(err, http.StatusUnprocessableEntity, "another body under the same key")
		}
		if a.ok() {
			placed, err := a.env.Client.OrdersOf(a.ctx, a.user("hal"))
			a.try(err, "list the orders of the user")
			expect(a, "number of the user's orders", 1, len(placed))
		}
		a.stock(sku, 8, 0, 1)
		a.payment(order.OrderID, "captured", "20.00", "")
		a.emails(order.OrderID, messages.KindConfirmed)
	}}
}

// post posts an order with options and returns the raw answer, to be compared byte for byte.
func (a *act) post(body client.NewOrder, opts client.PlaceOptions) (client.Order, client.Answer) {
	if !a.ok() {
		return client.Order{}, client.Answer{}
	}
	order, answer, err := a.env.Client.Place(a.ctx, body, opts)
	a.try(err, "POST /orders")
	return order, answer
}

// ForeignMessage writes the smallest possible order straight to Kafka: no key, no headers, and a number as id.
func ForeignMessage() Scenario {
	return Scenario{Name: "foreign-message", Title: "a plain message written to topic orders by a Kafka client is an order", play: func(a *act) {
		// Microseconds are unique enough here, and a JSON number shows that an id need not be a string.
		id := time.Now().UnixMicro()
		text := fmt.Sprintf(`{"order_id": %d, "user_id": "%s", "total": 49.99}`, id, a.user("ida"))
		a.write(messages.TopicOrders, 0, nil, []byte(text))
		a.note("written to topic orders: %s", text)
		order := a.settled(strconv.FormatInt(id, 10), "confirmed", "")
		expect(a, "total", a.money("49.99", order.Currency), a.money(order.Total, order.Currency))
		expect(a, "user", a.user("ida"), order.UserID)
		a.payment(order.OrderID, "captured", "49.99", "")
		a.emails(order.OrderID, messages.KindConfirmed)
	}}
}

// DeliveredTwice writes every message of three orders to Kafka a second time, byte for byte, and expects no
// change. The three end confirmed, failed and cancelled, so that all four topics take part.
func DeliveredTwice() Scenario {
	return Scenario{Name: "delivered-twice", Title: "every message delivered twice changes nothing", play: func(a *act) {
		a.openWire()
		sku := a.product("pointe shoe", "12.00", 20)
		paid := a.place(a.order("jo", sku, 2)).OrderID
		unpaid := a.order("jo", sku, 3)
		unpaid.PaymentMethod = cardDeclined
		declined := a.place(unpaid).OrderID
		cancelled := a.place(a.order("jo", sku, 4)).OrderID
		a.settled(paid, "confirmed", "")
		a.settled(declined, "failed", reasonDeclined)
		a.settled(cancelled, "confirmed", "")
		a.cancel(cancelled, "cancelling")
		a.reaches(cancelled, func(o client.Order) bool { return o.Status == "cancelled" }, "be cancelled")
		kinds := map[string][]string{paid: {messages.KindConfirmed}, declined: {messages.KindFailed},
			cancelled: {messages.KindConfirmed, messages.KindCancelled}}
		orders := []string{paid, declined, cancelled}
		for _, id := range orders {
			a.emails(id, kinds[id]...)
		}

		// Only at rest do the records include every consequence. Before, the picture could still change by
		// itself.
		records := a.quiet(orders...)
		before := a.picture(sku, orders)
		a.everyTopic(records)
		for _, r := range records {
			a.write(r.Topic, r.Partition, r.Key, r.Value, r.Headers...)
		}
		a.note("%d messages on four topics written again, byte for byte", len(records))
		a.quiet(orders...)

		a.unchanged(before, a.picture(sku, orders))
		for _, id := range orders {
			a.emails(id, kinds[id]...)
		}
		a.stock(sku, 18, 0, 2)
	}}
}

// everyTopic expects the records to cover all four topics: otherwise the scenario would prove less than its
// title says.
func (a *act) everyTopic(records []*kgo.Record) {
	counts := map[string]int{}
	for _, r := range records {
		counts[r.Topic]++
	}
	if a.ok() && len(counts) != len(messages.TopicNames()) {
		a.fail("the orders' messages are on %v, expected all of %v", slices.Sorted(maps.Keys(counts)), messages.TopicNames())
	}
}

// picture returns the visible state of the orders: one JSON text for each part, under a name for messages. The
// dead letters are counted by the orders' keys, so that other traffic does not change the picture.
func (a *act) picture(sku string, orderIDs []string) map[string]string {
	seen := map[string]string{}
	add := func(what string, part any, err error) {
		if !a.try(err, "read the %s", what) {
			return
		}
		text, err := json.Marshal(part)
		a.try(err, "compare the %s", what)
		seen[what] = string(text)
	}
	if !a.ok() {
		return seen
	}
	stock, err := a.env.Client.Stock(a.ctx, sku)
	add("stock of "+sku, stock, err)
	for _, id := range orderIDs {
		order, err := a.env.Client.Order(a.ctx, id, 0)
		add("order "+id, order, err)
		timeline, err := a.env.Client.Timeline(a.ctx, id)
		add("timeline of order "+id, timeline, err)
		payment, err := a.env.Client.Payment(a.ctx, id)
		add("payment of order "+id, payment, err)
		if a.env.Ledger != nil {
			entries, err := a.env.Ledger(a.ctx, id)
			add("provider's ledger about order "+id, entries, err)
		}
		sent, err := a.env.Client.Notifications(a.ctx, id)
		add("notifications of order "+id, sent, err)
	}
	for _, service := range messages.Services() {
		letters, err := a.env.Client.DeadLetters(a.ctx, service, client.LetterAll, 0)
		count := 0
		for _, letter := range letters {
			if slices.Contains(orderIDs, letter.Key) {
				count++
			}
		}
		add("number of dead letters in "+service, count, err)
	}
	return seen
}

// unchanged expects both pictures to be equal.
func (a *act) unchanged(before, after map[string]string) {
	for _, what := range slices.Sorted(maps.Keys(before)) {
		expect(a, what, before[what], after[what])
	}
}
