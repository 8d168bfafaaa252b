package scenario

import (
	"pasdetrois/pkg/messages"
)

// Replayed makes every service read its topics again from the beginning, and expects no effect. No row differs,
// no payment is charged again, and no email is sent again.
func Replayed() Scenario {
	return Scenario{Name: "replayed", Title: "every service reads its topics again: the same state, no second charge, no second email",
		Needs: []Need{NeedReplay}, play: func(a *act) {
			a.openWire()
			sku := a.product("da capo", "11.00", 10)
			paid := a.settled(a.place(a.order("noa", sku, 2)).OrderID, "confirmed", "").OrderID
			order := a.order("noa", sku, 1)
			order.PaymentMethod = cardDeclined
			declined := a.settled(a.place(order).OrderID, "failed", "card_declined").OrderID
			if !a.ok() {
				return
			}
			// A replay compares settled rows only, so the orders must have come to rest.
			a.quiet(paid, declined)
			for _, service := range messages.Services() {
				a.readAgain(service)
			}
			// If the replay had published anything about the orders, it would be in Kafka now and have its
			// effect.
			a.quiet(paid, declined)
			a.settled(paid, "confirmed", "")
			a.payment(paid, "captured", "22.00", "")
			a.emails(paid, messages.KindConfirmed)
			a.emails(declined, messages.KindFailed)
			a.stock(sku, 8, 0, 2)
		}}
}

// readAgain replays the topics of one service and expects an equal state. A replay that compared nothing fails
// as well.
func (a *act) readAgain(service string) {
	if !a.ok() {
		return
	}
	report, err := a.env.Replay(a.ctx, service)
	if !a.try(err, "let %s read its topics again", service) {
		return
	}
	switch {
	case report.Comparison == nil:
		a.fail("%s had nothing to read again", service)
	case !report.Equal():
		a.fail("%s read %d messages again, and %d rows differ, first %v", service, report.Messages, report.Different, report.Differences[0])
	}
	if !a.ok() {
		return
	}
	a.note("%s read %d messages again: %d rows are as before", service, report.Messages, report.Rows)
}
