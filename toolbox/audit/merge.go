package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pasdetrois/pkg/messages"
)

// file is all rows about one order id. The order itself is nil for a stranger: an id that only the other rows name.
type file struct {
	id            string
	order         *order
	payment       *payment
	entries       []entry
	notifications []notification
}

// merge reads orders, payments, the provider's ledger and notifications side by side, each on a connection of its own, and judges one order id after
// another, in ascending order. The file's slices are used again for the next order, so a check must not keep them.
//
// A failed stream ends early, and orders of the other streams are then judged without its rows. merge returns the
// stream's error in this case, and Run drops the report.
func (a *audit) merge(ctx context.Context, ob, pb, lb, nb *book) error {
	orders, err := read(ctx, ob, "orders", ordersSQL, scanOrder, func(o *order) string { return o.id })
	if err != nil {
		return err
	}
	payments, err := read(ctx, pb, "payments", paymentsSQL, scanPayment, func(p *payment) string { return p.id })
	if err != nil {
		return err
	}
	ledger, err := read(ctx, lb, "the provider's ledger", ledgerSQL, scanEntry, func(e *entry) string { return e.id })
	if err != nil {
		return err
	}
	notifications, err := read(ctx, nb, "notifications", notificationsSQL, scanNotification, func(n *notification) string { return n.id })
	if err != nil {
		return err
	}
	var f file
	for {
		key, found := orders.lowest("", false)
		key, found = payments.lowest(key, found)
		key, found = ledger.lowest(key, found)
		key, found = notifications.lowest(key, found)
		if !found {
			break
		}
		f = file{id: key, entries: f.entries[:0], notifications: f.notifications[:0]}
		orders.take(key, func(o order) { f.order = &o })
		payments.take(key, func(p payment) { f.payment = &p })
		ledger.take(key, func(e entry) { f.entries = append(f.entries, e) })
		notifications.take(key, func(n notification) { f.notifications = append(f.notifications, n) })
		a.judge(f)
		if a.report.Orders > 0 && a.report.Orders%ordersEvery == 0 {
			a.cfg.Progress(a.messages, a.report.Orders)
		}
	}
	a.strangersInTopics()
	a.productsOnTopics()
	return errors.Join(orders.err, payments.err, ledger.err, notifications.err)
}

// inFlight reports whether any row of the order changed after a.before. One recent row is enough: the others may follow
// it.
func (a *audit) inFlight(f file) bool {
	if f.order != nil && f.order.updated.After(a.before) || f.payment != nil && f.payment.updated.After(a.before) {
		return true
	}
	for _, e := range f.entries {
		if e.at.After(a.before) {
			return true
		}
	}
	for _, n := range f.notifications {
		if n.at.After(a.before) {
			return true
		}
	}
	return false
}

// judge runs all checks of one order id. It also removes the order's story, judged or not. The stories that remain
// after the merge then belong to orders that no database has.
func (a *audit) judge(f file) {
	if f.order != nil {
		a.report.Orders++
		a.checks.timeline.look()
	}
	if a.inFlight(f) {
		a.report.InFlight++
		a.stories.forget(f.id)
		return
	}
	if a.removed.has(f.id) {
		a.report.Removed++
		a.stories.forget(f.id)
		return
	}
	a.charges(f)
	if f.order == nil {
		a.stranger(f)
		return
	}
	a.checks.strangers.look()
	a.overdue(f)
	a.money(f)
	a.outcome(f)
	a.notified(f)
	if a.checks.topics != nil && !f.order.updated.After(a.fixed) {
		a.told(f)
	}
	a.stories.forget(f.id)
}

// stranger judges rows whose order does not exist. A payment that another producer asked for is allowed. A notification
// of a kind that the contract does not have is allowed, too. Any other row is an offender: one for each order id.
func (a *audit) stranger(f file) {
	switch {
	case f.payment != nil && f.payment.outside:
		a.checks.strangers.look()
		a.outside.take(f.payment)
	case f.payment != nil:
		a.checks.strangers.offend(fmt.Sprintf("%s has a payment, %s", f.id, f.payment.status))
	case len(f.entries) > 0:
		a.checks.strangers.offend(fmt.Sprintf("%s is known to the provider alone, %s", f.id, f.entries[0].status))
	default:
		a.checks.strangers.look()
		for _, n := range f.notifications {
			if slices.Contains(messages.Kinds(), n.kind) {
				a.checks.strangers.offend(fmt.Sprintf("%s has a notification, %s", f.id, n.kind))
				break
			}
		}
	}
	a.stories.forget(f.id)
}

// overdue reports an order that should have settled before a.before. The sweeper of orders has the whole Grace to
// settle it.
func (a *audit) overdue(f file) {
	a.checks.overdue.look()
	if o := f.order; !messages.Settled(o.status) && o.due != nil && o.due.Before(a.before) {
		a.checks.overdue.offend(fmt.Sprintf("%s is %s, due since %s", o.id, o.status, o.due.UTC().Format("2006-01-02 15:04:05")))
	}
}

// money adds the order to the sums that total compares. A payment that was asked for from outside, and pays for
// something else, counts apart even if it has the order's id.
func (a *audit) money(f file) {
	if f.order.status == "confirmed" {
		a.confirmed[f.order.currency] += f.order.total
	}
	switch p := f.payment; {
	case p == nil:
	case !p.paysFor(f.order):
		a.outside.take(p)
	case p.status == "captured":
		a.kept[p.currency] += p.amount
	}
}

// charges compares the provider's ledger with payments. It holds for strangers too, so it does not use the order. A
// ledger entry took money when it is charged, or was charged and is refunded. The rules, one entry that took money at
// most:
//
//	ledger     payment must be
//	nothing    neither captured nor refunded
//	charged    captured, with the same payment id and amount
//	refunded   anything but captured
func (a *audit) charges(f file) {
	taken := 0
	var last entry
	for _, e := range f.entries {
		a.checks.charges.look()
		if e.status == "charged" || e.status == "refunded" {
			taken++
			last = e
		}
	}
	status, paymentID, paid := "no payment", "", int64(0)
	if f.payment != nil {
		status, paymentID, paid = f.payment.status, f.payment.paymentID, f.payment.amount
	}
	switch {
	case taken > 1:
		a.checks.charges.offend(fmt.Sprintf("%s was charged %d times", f.id, taken))
	case taken == 0 && (status == "captured" || status == "refunded"):
		a.checks.charges.offend(fmt.Sprintf("%s: payments says %s, the provider never took money", f.id, status))
	case taken == 1 && last.status == "charged" && (status != "captured" || paymentID != last.paymentID || paid != last.amount):
		a.checks.charges.offend(fmt.Sprintf("%s: the provider keeps %s as %s, payments says %s", f.id, amount(last.amount, last.currency), last.paymentID, status))
	case taken == 1 && last.status == "refunded" && status == "captured":
		a.checks.charges.offend(fmt.Sprintf("%s: the provider gave %s back, payments says captured", f.id, amount(last.amount, last.currency)))
	}
}

// outcome compares a settled order with its payment: a confirmed order has a captured payment over its total, and no
// other settled order keeps money. A payment from outside that pays for something else counts as none.
func (a *audit) outcome(f file) {
	o := f.order
	if !messages.Settled(o.status) {
		return
	}
	a.checks.outcome.look()
	p := f.payment
	if !p.paysFor(o) {
		p = nil
	}
	switch {
	case o.status != "confirmed" && p != nil && p.status == "captured":
		a.checks.outcome.offend(fmt.Sprintf("%s is %s, and its money is kept", o.id, o.status))
	case o.status == "confirmed" && (p == nil || p.status != "captured"):
		a.checks.outcome.offend(fmt.Sprintf("%s is confirmed without a captured payment", o.id))
	case o.status == "confirmed" && (p.amount != o.total || p.currency != o.currency || p.paymentID != o.paymentID):
		a.checks.outcome.offend(fmt.Sprintf("%s is confirmed over %s, its payment is over %s", o.id, amount(o.total, o.currency), amount(p.amount, p.currency)))
	}
}

// notified checks that a settled order has the notification of its status and no notification that contradicts it. Two
// of one kind cannot exist: a unique key of the table prevents them. Three other kinds are allowed:
//
//   - confirmed, for an order that was cancelled or failed after it was confirmed
//   - fraud_alert, when the payment failed for suspected fraud, also if the customer cancelled meanwhile
//   - a kind that the contract does not have, from another producer
func (a *audit) notified(f file) {
	o := f.order
	if !messages.Settled(o.status) {
		return
	}
	a.checks.notified.look()
	told := false
	for _, n := range f.notifications {
		switch {
		case n.kind == o.status && n.status == "pending":
			a.checks.notified.offend(fmt.Sprintf("%s: the notification that it is %s is not sent", o.id, n.kind))
			told = true
		case n.kind == o.status:
			told = true
		case n.kind == messages.KindConfirmed && (o.status == "cancelled" || o.status == "failed"): // an earlier status
		case n.kind == messages.KindFraudAlert && f.payment != nil && f.payment.reason == "suspected_fraud": // also after a cancel
		case !slices.Contains(messages.Kinds(), n.kind): // another producer's notification
		default:
			a.checks.notified.offend(fmt.Sprintf("%s is %s, and its email says %s", o.id, o.status, n.kind))
		}
	}
	if !told {
		a.untold++
		a.checks.notified.offend(fmt.Sprintf("%s is %s, and no email was requested", o.id, o.status))
	}
}

// amount writes minor units as a decimal number with the currency.
func amount(minor int64, currency string) string {
	return messages.Money{Minor: minor, Currency: currency}.String()
}
