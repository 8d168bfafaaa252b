package scenario

import (
	"slices"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// CancelledBeforePayment cancels an order before its payment. Payments is stopped meanwhile: otherwise the
// payment could be faster than the cancellation.
func CancelledBeforePayment() Scenario {
	return Scenario{Name: "cancelled-before-payment", Title: "cancelled while the payment is still to come: never confirmed, no money kept",
		Needs: []Need{NeedControl}, play: func(a *act) {
			sku := a.product("programme", "6.00", 4)
			a.stop(client.Payments)
			order := a.place(a.order("finn", sku, 2))
			// The stock is reserved before the payment, so a cancellation now must release it.
			order = a.reaches(order.OrderID, func(o client.Order) bool { return o.Status == "awaiting_payment" }, "await its payment")
			a.stock(sku, 2, 2, 0)
			a.cancel(order.OrderID, "cancelling")
			// Payments now finds a request and a cancellation of the same order. Whichever it handles first, no
			// money may remain.
			a.start(client.Payments)
			a.settled(order.OrderID, "cancelled", reasonCancelled)
			a.statuses(order.OrderID, []string{"awaiting_payment", "cancelling", "cancelled"}, []string{"confirmed", "failed"})
			a.stock(sku, 4, 0, 0)
			a.moneyBack(order.OrderID, "12.00")
			a.emails(order.OrderID, messages.KindCancelled)
		}}
}

// CancelledAfterPayment cancels a confirmed order: the payment is refunded and the pieces return to stock.
func CancelledAfterPayment() Scenario {
	return Scenario{Name: "cancelled-after-payment", Title: "cancelled after it was paid: refunded and restocked", play: func(a *act) {
		sku := a.product("music box", "30.00", 3)
		order := a.settled(a.place(a.order("gil", sku, 1)).OrderID, "confirmed", "")
		a.stock(sku, 2, 0, 1)
		a.payment(order.OrderID, "captured", "30.00", "")
		a.emails(order.OrderID, messages.KindConfirmed)
		// The refund may be complete before the second request, so both statuses are right.
		a.cancel(order.OrderID, "cancelling", "cancelled")
		cancelled := a.reaches(order.OrderID, func(o client.Order) bool { return o.Status == "cancelled" }, "be cancelled")
		expect(a, "reason of the order", reasonCancelled, cancelled.Reason)
		a.statuses(order.OrderID, []string{"confirmed", "cancelling", "cancelled"}, []string{"failed"})
		a.payment(order.OrderID, "refunded", "30.00", reasonCancelled)
		a.stock(sku, 3, 0, 0)
		a.emails(order.OrderID, messages.KindConfirmed, messages.KindCancelled)
	}}
}

// cancel cancels the order twice and expects one of the statuses, or cancelled, each time. The second call
// proves that the request is idempotent.
func (a *act) cancel(orderID string, statuses ...string) {
	for range 2 {
		if !a.ok() {
			return
		}
		order, err := a.env.Client.Cancel(a.ctx, orderID)
		if a.try(err, "cancel order %s", orderID) && !slices.Contains(append(statuses, "cancelled"), order.Status) {
			a.fail("order %s is %s after cancelling, expected one of %v", orderID, order.Status, statuses)
		}
	}
	a.note("POST /orders/%s/cancel, twice", orderID)
}

// moneyBack expects that the provider keeps no money of the order. Both outcomes are right: "voided" when the
// cancellation overtook the charge, "refunded" otherwise.
func (a *act) moneyBack(orderID, amount string) {
	if !a.ok() {
		return
	}
	p, err := a.env.Client.Payment(a.ctx, orderID)
	if !a.try(err, "read the payment of order %s", orderID) {
		return
	}
	if p.Status != "refunded" && p.Status != "voided" {
		a.fail("the payment of order %s is %s, expected refunded or voided", orderID, p.Status)
	}
	expect(a, "amount given back", a.money(number(amount), p.Currency), a.money(p.Amount, p.Currency))
	a.ledger(p)
	a.note("payment: %s %s %s", p.Amount, p.Currency, p.Status)
}

// stop stops a service and checks that it no longer answers: a running service would make the rest of the act
// prove nothing.
func (a *act) stop(service string) {
	if !a.ok() || !a.try(a.env.Control.StopService(a.ctx, service), "stop %s", service) {
		return
	}
	a.stopped = append(a.stopped, service)
	if a.env.Client.Ready(a.ctx, service) == nil {
		a.fail("%s answers that it is ready, although it is stopped", service)
	}
	a.note("%s stopped", service)
}

// start starts a service that stop has stopped, and waits until it is ready.
func (a *act) start(service string) {
	if a.ok() && a.try(a.env.Control.StartService(a.ctx, service), "start %s", service) {
		a.stopped = slices.DeleteFunc(a.stopped, func(s string) bool { return s == service })
		a.note("%s started again", service)
	}
}
