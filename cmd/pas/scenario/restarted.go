package scenario

import (
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// NotificationsRestarted stops notifications while orders are confirmed. After the restart it expects each
// email exactly once: the service resumes at its committed offsets.
func NotificationsRestarted() Scenario {
	return Scenario{Name: "notifications-restarted", Title: "notifications stopped and started again: no email lost, none twice",
		Needs: []Need{NeedControl}, play: func(a *act) {
			a.openWire()
			sku := a.product("encore", "9.00", 10)
			// One email goes out before the stop: after the restart it must not go out again.
			before := a.place(a.order("lou", sku, 1)).OrderID
			a.settled(before, "confirmed", "")
			a.emails(before, messages.KindConfirmed)

			// Orders and payments must not depend on notifications: these orders are confirmed without it.
			a.stop(client.Notifications)
			var meanwhile []string
			for range 3 {
				meanwhile = append(meanwhile, a.place(a.order("lou", sku, 1)).OrderID)
			}
			for _, id := range meanwhile {
				a.settled(id, "confirmed", "")
				a.noEmail(id)
			}
			a.note("3 orders confirmed meanwhile, no email yet")
			a.start(client.Notifications)
			for _, id := range meanwhile {
				a.emails(id, messages.KindConfirmed)
			}
			// The emails are checked again at rest, since a second one could come late.
			a.quiet(append(meanwhile, before)...)
			for _, id := range append(meanwhile, before) {
				a.emails(id, messages.KindConfirmed)
			}
			a.stock(sku, 6, 0, 4)
		}}
}

// noEmail expects that no email line about the order was written. Where lines cannot be read, nothing is
// checked.
func (a *act) noEmail(orderID string) {
	if !a.ok() || a.env.Emails == nil {
		return
	}
	for _, e := range a.env.Emails() {
		if e.OrderID == orderID {
			a.fail("an email about order %s went out (%s), although notifications is stopped", orderID, e.Kind)
		}
	}
}
