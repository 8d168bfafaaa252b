package scenario

import (
	"encoding/json"
	"fmt"
	"net/http"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// Payment methods of the simulated provider.
const (
	cardDeclined = "pm_card_chargeDeclined"
)

// Reasons that orders and payments give. They are part of the contract with users.
const (
	reasonOutOfStock   = "out_of_stock"
	reasonUnknownSKU   = "unknown_sku"
	reasonDeclined     = "card_declined"
	reasonFraud        = "suspected_fraud"
	reasonCancelled    = "cancelled_by_user"
	reasonNotJSON      = "not_json"
	reasonTotalDiffers = "total_mismatch"
)

// Confirmed is the good case: all pieces are in stock and the payment succeeds.
func Confirmed() Scenario {
	return Scenario{Name: "confirmed", Title: "an order in stock is paid and confirmed", play: func(a *act) {
		sku := a.product("swan feather", "24.50", 10)
		order := a.place(a.order("ada", sku, 2))
		// The order has no total of its own: the service computes it from the catalogue.
		expect(a, "total", a.money("49.00", order.Currency), a.money(order.Total, order.Currency))
		order = a.settled(order.OrderID, "confirmed", "")
		a.statuses(order.OrderID, []string{"pending", "awaiting_payment", "confirmed"}, []string{"cancelling", "failed"})
		paid := a.payment(order.OrderID, "captured", "49.00", "")
		// Both services must name the same charge, or a refund could miss it.
		expect(a, "payment id of the order", paid.PaymentID, order.PaymentID)
		a.stock(sku, 8, 0, 2)
		a.emails(order.OrderID, messages.KindConfirmed)
	}}
}

// OutOfStock orders one product in stock and one with too few pieces: nothing is reserved, nothing is charged.
func OutOfStock() Scenario {
	return Scenario{Name: "out-of-stock", Title: "an order for more than there is gets rejected, whole", play: func(a *act) {
		a.openWire()
		// Two products: a rejected order must not keep the pieces of the one that is in stock.
		plenty, scarce := a.product("tutu", "10.00", 10), a.product("last slipper", "15.00", 1)
		wanted := a.order("bo", plenty, 1)
		wanted.Items = append(wanted.Items, client.NewItem{SKU: scarce, Quantity: 2})
		order := a.settled(a.place(wanted).OrderID, "rejected", reasonOutOfStock)
		a.statuses(order.OrderID, []string{"pending", "rejected"}, []string{"awaiting_payment"})
		a.emails(order.OrderID, messages.KindRejected)
		a.stock(plenty, 10, 0, 0)
		a.stock(scarce, 1, 0, 0)
		a.noPayment(order.OrderID)
		a.published(order.OrderID, messages.TopicOrderFailures, messages.EventOrderRejected, reasonOutOfStock)
	}}
}

// UnknownSKU orders a product that does not exist. Over HTTP the order is rejected at once, since it has no
// price. Over Kafka no caller waits for an answer, so the order is recorded and rejected.
func UnknownSKU() Scenario {
	return Scenario{Name: "unknown-sku", Title: "something we do not sell: 422 over HTTP, rejected over Kafka", play: func(a *act) {
		unknown := "nothing-" + a.suffix
		if !a.ok() {
			return
		}
		_, _, err := a.env.Client.Place(a.ctx, a.order("cy", unknown, 1), client.PlaceOptions{})
		a.refused(err, http.StatusUnprocessableEntity, "POST /orders")

		id := "foreign-unknown-" + a.suffix
		a.openWire()
		// The record is valid; only its product does not exist. So it becomes a rejected order, not a dead
		// letter.
		a.write(messages.TopicOrders, 0, []byte(id), a.body(map[string]any{"event": messages.EventOrderPlaced, "order_id": id,
			"user_id": a.user("cy"), "total": number("12.00"), "items": []any{map[string]any{"sku": unknown, "quantity": 1}}}))
		a.settled(id, "rejected", reasonUnknownSKU)
		a.emails(id, messages.KindRejected)
		a.noPayment(id)
		a.published(id, messages.TopicOrderFailures, messages.EventOrderRejected, reasonUnknownSKU)
	}}
}

// CardDeclined reserves stock, fails to pay, and releases the pieces.
func CardDeclined() Scenario {
	return Scenario{Name: "card-declined", Title: "the card is declined and the stock comes back", play: func(a *act) {
		sku := a.product("ribbon", "8.00", 5)
		wanted := a.order("dee", sku, 3)
		// The simulated provider decides by the payment method; this one is always declined.
		wanted.PaymentMethod = cardDeclined
		order := a.settled(a.place(wanted).OrderID, "failed", reasonDeclined)
		a.statuses(order.OrderID, []string{"pending", "awaiting_payment", "failed"}, []string{"confirmed"})
		a.payment(order.OrderID, "failed", "24.00", reasonDeclined)
		a.stock(sku, 5, 0, 0)
		a.emails(order.OrderID, messages.KindFailed)
	}}
}

// SuspectedFraud places an order above the fraud limit: it is never charged, and the security address gets an
// email. An order of exactly the limit is charged.
func SuspectedFraud() Scenario {
	return Scenario{Name: "suspected-fraud", Title: "an amount over the limit is not charged, and security is notified", play: func(a *act) {
		sku := a.product("golden barre", "900.01", 2)
		order := a.settled(a.place(a.order("eve", sku, 1)).OrderID, "failed", reasonFraud)
		p := a.payment(order.OrderID, "failed", "900.01", reasonFraud)
		expect(a, "payment id of what was never charged", "", p.PaymentID)
		a.stock(sku, 2, 0, 0)
		a.emails(order.OrderID, messages.KindFailed, messages.KindFraudAlert)
		a.sentApart(order.OrderID, messages.KindFailed, messages.KindFraudAlert)

		// The limit itself is allowed: suspicion begins one cent above it.
		limit := a.product("silver barre", "900.00", 1)
		a.note("exactly at the limit is not suspected:")
		fine := a.settled(a.place(a.order("eve", limit, 1)).OrderID, "confirmed", "")
		a.emails(fine.OrderID, messages.KindConfirmed)
	}}
}

// order makes the body of an order of one line.
func (a *act) order(user, sku string, quantity int) client.NewOrder {
	return client.NewOrder{UserID: a.user(user), Items: []client.NewItem{{SKU: sku, Quantity: quantity}}}
}

// body encodes a message as a plain producer writes it.
func (a *act) body(fields map[string]any) []byte {
	encoded, err := json.Marshal(fields)
	a.try(err, "encode a message")
	return encoded
}

// published expects exactly one record about the order with this event on the topic, and this reason in it. It
// waits for rest first: a second record could still be on its way.
func (a *act) published(orderID, topic, event, reason string) {
	count := 0
	for _, r := range a.quiet(orderID) {
		var b struct{ Event, Reason string }
		if r.Topic != topic || json.Unmarshal(r.Value, &b) != nil || b.Event != event {
			continue
		}
		count++
		expect(a, fmt.Sprintf("reason in %s on %s", event, topic), reason, b.Reason)
	}
	expect(a, fmt.Sprintf("number of %s messages on %s", event, topic), 1, count)
	a.note("%s on topic %s: reason %s", event, topic, reason)
}

// sentApart expects two kinds of notification about an order to have gone to different addresses.
func (a *act) sentApart(orderID, one, other string) {
	if !a.ok() {
		return
	}
	listed, err := a.env.Client.Notifications(a.ctx, orderID)
	a.try(err, "list the notifications of order %s", orderID)
	to := map[string]string{}
	for _, n := range listed {
		to[n.Kind] = n.To
	}
	if a.ok() && (to[one] == "" || to[one] == to[other]) {
		a.fail("%s went to %q and %s to %q, expected two addresses", one, to[one], other, to[other])
	}
}
